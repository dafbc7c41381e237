/** What the visitor sends: one track of each kind that the stream takes, and the lists to choose the devices from. */

import { listDevices, openDevices, rememberDevice, rememberedDevice } from "./devices.js";

/** @typedef {import("./devices.js").Kind} Kind */

/** Events: `replaced` (detail: the new MediaStreamTrack) and `trouble` (detail: DeviceError), when another device is chosen. */
export class LocalMedia extends EventTarget {
  /** @type {MediaStream | null} */
  stream = null;
  #lists;
  #constraints;
  /** @type {Set<string>} */
  #muted = new Set();
  /** Counts openings and closings: the browser may answer when nobody wants the device any more. */
  #turn = 0;

  /**
   * @param {Partial<Record<Kind, HTMLSelectElement | null>>} lists one for each kind that is sent
   * @param {Partial<Record<Kind, MediaTrackConstraints>>} constraints
   */
  constructor(lists, constraints) {
    super();
    this.#lists = /** @type {[Kind, HTMLSelectElement][]} */ (Object.entries(lists).filter(([, list]) => list));
    this.#constraints = constraints;
    for (const [kind, list] of this.#lists) list.addEventListener("change", () => this.choose(kind, list.value));
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#showDevices());
    this.#showDevices();
  }

  /** @returns {Kind[]} */
  get kinds() {
    return this.#lists.map(([kind]) => kind);
  }

  /** Raises DeviceError. Leaves `stream` null when nothing is sent, or when closed meanwhile. */
  async open() {
    if (!this.kinds.length) return;
    const stream = await this.#take(this.kinds);
    if (stream) this.stream = stream;
    await this.#showDevices();
  }

  close() {
    this.#turn++;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
  }

  /**
   * @param {Kind} kind
   * @param {boolean} muted
   */
  mute(kind, muted) {
    muted ? this.#muted.add(kind) : this.#muted.delete(kind);
    this.stream?.getTracks().forEach((track) => (track.enabled = !this.#muted.has(track.kind)));
  }

  /**
   * @param {Kind} kind
   * @param {string} deviceId empty for the default
   */
  async choose(kind, deviceId) {
    rememberDevice(kind, deviceId);
    if (!this.stream) return;
    try {
      const taken = await this.#take([kind]);
      if (!taken || !this.stream) return;
      const [track] = taken.getTracks();
      for (const old of this.stream.getTracks().filter((each) => each.kind === kind)) {
        this.stream.removeTrack(old);
        old.stop();
      }
      this.stream.addTrack(track);
      this.dispatchEvent(new CustomEvent("replaced", { detail: track }));
    } catch (error) {
      this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
    }
    await this.#showDevices();
  }

  /**
   * @param {Kind[]} kinds
   * @returns {Promise<MediaStream | null>}
   */
  async #take(kinds) {
    const turn = ++this.#turn;
    const stream = await openDevices(kinds, this.#constraints);
    if (turn !== this.#turn) {
      stream.getTracks().forEach((track) => track.stop());
      return null;
    }
    for (const track of stream.getTracks()) {
      track.enabled = !this.#muted.has(track.kind);
      const unplugged = () => this.stream?.getTracks().includes(track) && this.choose(/** @type {Kind} */ (track.kind), "");
      track.addEventListener("ended", unplugged);
    }
    return stream;
  }

  async #showDevices() {
    for (const [kind, list] of this.#lists) {
      const options = (await listDevices(kind)).map(({ label, deviceId }) => new Option(label, deviceId));
      if (options.length) list.replaceChildren(...options);
      const track = this.stream?.getTracks().find((each) => each.kind === kind);
      const current = track?.getSettings().deviceId ?? rememberedDevice(kind);
      if (options.some(({ value }) => value === current)) list.value = current;
    }
  }
}
