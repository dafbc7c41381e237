/** Follows what the stream's handler publishes (server-sent events) and hands it to the panels. */

const LAST_WORDS_MS = 2_000;

export class OutputFeed {
  #panels;
  #tell;
  /** @type {EventSource | null} */
  #source = null;

  /**
   * @param {import("./output-panels.js").OutputPanels} panels
   * @param {(sentence: string) => void} tell
   */
  constructor(panels, tell) {
    this.#panels = panels;
    this.#tell = tell;
  }

  /** @param {string} url */
  open(url) {
    this.#source?.close();
    const source = (this.#source = new EventSource(url));
    source.addEventListener("output", ({ data }) => this.#show(data));
    source.addEventListener("gap", ({ data }) => this.#gap(data));
    source.addEventListener("error", () => this.#trouble(source));
  }

  /** The session has ended: take what was published before its end, then close. */
  finish() {
    const source = this.#source;
    this.#source = null;
    setTimeout(() => source?.close(), LAST_WORDS_MS);
  }

  /** @param {EventSource} source */
  #trouble(source) {
    // The browser reconnects by itself and asks for what it missed; but after the session's end there is nothing to ask for.
    if (source !== this.#source) source.close();
    else if (source.readyState === EventSource.CLOSED) this.#tell("The stream's output can't be followed.");
  }

  /** @param {string} data */
  #show(data) {
    try {
      this.#panels.show(JSON.parse(data));
    } catch (error) {
      console.warn("Not an output for these panels:", data, error);
      this.#tell("An output could not be shown.");
    }
  }

  /** @param {string} data */
  #gap(data) {
    const { first, last } = JSON.parse(data);
    const count = last - first + 1;
    this.#tell(count === 1 ? "One output was missed." : `${count} outputs were missed.`);
  }
}
