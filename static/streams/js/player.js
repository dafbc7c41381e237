/** Plays what the stream sends, and shows how loud it is. */

export class Player {
  /** @type {MediaStream | null} */
  stream = null;
  #element;
  #button;
  #meter;
  /** @type {AudioContext | null} */
  #context = null;

  /**
   * @param {HTMLMediaElement | null} element null when the stream sends nothing
   * @param {HTMLElement} button shown when the browser wants a click before it plays sound
   * @param {import("./level-meter.js").LevelMeter | null} meter
   */
  constructor(element, button, meter) {
    this.#element = element;
    this.#button = button;
    this.#meter = meter;
    button.addEventListener("click", () => this.#start());
  }

  /**
   * @param {MediaStream} stream
   * @param {AudioContext | null} context for the meter
   */
  play(stream, context) {
    if (!this.#element) return;
    this.stream = stream;
    this.#context = context;
    if (this.#element.srcObject !== stream) this.#element.srcObject = stream;
    if (context && stream.getAudioTracks().length) this.#meter?.attach(context, stream);
    this.#start();
  }

  /** @param {boolean} muted */
  mute(muted) {
    if (this.#element) this.#element.muted = muted;
  }

  stop() {
    this.stream = this.#context = null;
    if (this.#element) this.#element.srcObject = null;
    this.#button.hidden = true;
    this.#meter?.detach();
  }

  async #start() {
    this.#context?.resume();
    try {
      await this.#element?.play();
      this.#button.hidden = true;
    } catch (error) {
      // Any other failure is our own doing: the sound was replaced or stopped.
      this.#button.hidden = /** @type {DOMException} */ (error).name !== "NotAllowedError";
    }
  }
}
