/** A session that survives network trouble: a Peer, and a fresh one when that is lost. */

import { Peer } from "./peer.js";

const PATIENCE_MS = 5_000; // "disconnected" often heals by itself
const RETRY_DELAYS_MS = [0, 1_000, 3_000];

/** @typedef {"new"|"connecting"|"live"|"reconnecting"|"closed"} ClientState */
/** @typedef {{state: ClientState, reason?: string, error?: Error & {code?: string}}} StateDetail */

/**
 * Events: `state` (detail: StateDetail), `answered` (there is a new session, see `id`), `message` (detail: `{type, data}`),
 * `track` (detail: MediaStream).
 */
export class RtcClient extends EventTarget {
  /** @type {ClientState} */
  state = "new";
  #api;
  #media;
  /** @type {Peer | null} */
  #peer = null;
  #patience = 0;

  /**
   * @param {import("./session-api.js").SessionApi} api
   * @param {import("./peer.js").Media} media
   */
  constructor(api, media) {
    super();
    this.#api = api;
    this.#media = media;
  }

  /** The current webrtc_id; every reconnection has a new one. */
  get id() {
    return this.#peer?.id ?? null;
  }

  /** Where the current connection stands. */
  get stage() {
    return this.#peer?.stage ?? "signalling";
  }

  async connect() {
    this.#become("connecting");
    try {
      await this.#openPeer();
    } catch (error) {
      this.#end({ error: /** @type {Error} */ (error) });
    }
  }

  /** @param {MediaStreamTrack} track already a part of the outgoing stream, in place of the one of its kind */
  async replace(track) {
    await this.#peer?.replace(track);
  }

  /** @param {string} [reason] */
  close(reason) {
    this.#end({ reason });
  }

  async #openPeer() {
    // Just before connecting, because TURN credentials are short-lived.
    const configuration = await this.#api.configuration();
    if (this.state === "closed") return;
    const peer = (this.#peer = new Peer(this.#api, configuration, this.#media));
    peer.addEventListener("answered", (event) => this.#forward(event));
    peer.addEventListener("track", (event) => this.#forward(event));
    peer.addEventListener("message", (event) => this.#receive(/** @type {CustomEvent} */ (event)));
    await peer.open();
    peer.addEventListener("interrupted", () => this.#wait());
    peer.addEventListener("restored", () => this.#resume());
    peer.addEventListener("lost", () => this.#reconnect());
    this.#resume();
  }

  #wait() {
    this.#become("reconnecting");
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.#reconnect(), PATIENCE_MS);
  }

  #resume() {
    clearTimeout(this.#patience);
    this.#become("live");
  }

  async #reconnect() {
    clearTimeout(this.#patience);
    this.#become("reconnecting");
    let failure;
    for (const delay of RETRY_DELAYS_MS) {
      this.#peer?.close(); // also frees its place on the server, which we are about to need
      await new Promise((resolve) => setTimeout(resolve, delay));
      if (this.state === "closed") return;
      try {
        return await this.#openPeer();
      } catch (error) {
        failure = /** @type {Error & {temporary?: boolean}} */ (error);
        if (!failure.temporary) break;
      }
    }
    this.#end({ error: failure });
  }

  /** @param {CustomEvent<{type: string, data: unknown}>} event */
  #receive(event) {
    const { type, data } = event.detail;
    this.#forward(event);
    if (type === "end_stream") this.#end({ reason: String(data) });
    if (type === "update_connection" && data === "closed") this.#end({ reason: "The server closed the session." });
  }

  /** @param {Omit<StateDetail, "state">} detail */
  #end(detail) {
    clearTimeout(this.#patience);
    this.#become("closed", detail);
    this.#peer?.close();
  }

  /**
   * @param {ClientState} state
   * @param {Omit<StateDetail, "state">} [detail]
   */
  #become(state, detail) {
    if (this.state === state || this.state === "closed") return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, ...detail } }));
  }

  /** @param {Event} event */
  #forward(event) {
    const { type, detail } = /** @type {CustomEvent} */ (event);
    if (this.state !== "closed") this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
