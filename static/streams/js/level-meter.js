/** Shows how loud a MediaStream is, in an element with role="meter" (`--level` 0..1 for the style sheet). */

const QUIETEST_DB = -60;
const ANNOUNCE_MS = 250; // aria-valuenow: often enough to follow, rarely enough for assistive technology

export class LevelMeter extends EventTarget {
  #element;
  #analyser = /** @type {AnalyserNode | null} */ (null);
  #source = /** @type {MediaStreamAudioSourceNode | null} */ (null);
  #samples = new Float32Array(1024);
  #announcedAt = 0;

  /**
   * Fires `level` (CustomEvent, detail `{rms: 0..1, time: seconds of the AudioContext}`) for every frame drawn.
   * @param {HTMLElement} element
   */
  constructor(element) {
    super();
    this.#element = element;
  }

  /**
   * A remote stream must also play in a media element, or Chromium delivers silence here.
   * @param {AudioContext} context
   * @param {MediaStream} stream
   */
  attach(context, stream) {
    this.#source?.disconnect();
    const wasRunning = this.#analyser !== null;
    this.#analyser = new AnalyserNode(context, { fftSize: this.#samples.length });
    this.#source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
    this.#source.connect(this.#analyser);
    if (!wasRunning) this.#draw();
  }

  detach() {
    this.#source?.disconnect();
    this.#source = this.#analyser = null;
    this.#show(0);
    this.#announce(0);
  }

  #draw = () => {
    if (!this.#analyser) return;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const rms = Math.sqrt(this.#samples.reduce((sum, x) => sum + x * x, 0) / this.#samples.length);
    this.dispatchEvent(new CustomEvent("level", { detail: { rms, time: this.#analyser.context.currentTime } }));
    const level = Math.min(1, Math.max(0, 1 - (20 * Math.log10(rms + 1e-9)) / QUIETEST_DB));
    this.#show(level);
    if (performance.now() - this.#announcedAt > ANNOUNCE_MS) this.#announce(level);
    requestAnimationFrame(this.#draw);
  };

  /** @param {number} level */
  #show(level) {
    this.#element.style.setProperty("--level", level.toFixed(3));
  }

  /** @param {number} level */
  #announce(level) {
    this.#announcedAt = performance.now();
    this.#element.setAttribute("aria-valuenow", String(Math.round(level * 100)));
  }
}
