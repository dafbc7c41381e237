/** Counts down to the end of the session, once the server has said that it is near. */

const NEAR_MS = 15_000; // an earlier warning is about something else

export class TimeLimit {
  #element;
  #limit;
  #deadline = Infinity;
  #timer = 0;

  /**
   * @param {HTMLElement} element
   * @param {number | null} limit seconds
   */
  constructor(element, limit) {
    this.#element = element;
    this.#limit = limit;
  }

  /** The session is live from now on. */
  start() {
    this.stop();
    this.#deadline = this.#limit === null ? Infinity : performance.now() + this.#limit * 1000;
  }

  /** The server has warned of something. */
  warned() {
    if (this.#timer || this.#deadline - performance.now() > NEAR_MS) return;
    this.#element.hidden = false;
    this.#show();
    this.#timer = setInterval(() => this.#show(), 250);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#element.hidden = true;
  }

  #show() {
    const seconds = Math.max(0, Math.ceil((this.#deadline - performance.now()) / 1000));
    const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    if (this.#element.textContent !== text) this.#element.textContent = text;
  }
}
