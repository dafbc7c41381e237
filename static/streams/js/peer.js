/** One WebRTC connection to one stream: offer, trickled candidates, data channel. It never reconnects (see rtc-client.js). */

import { ConnectionWatch, failedWords } from "./connection-watch.js";

const CONNECT_TIMEOUT_MS = 30_000;

export class ConnectionError extends Error {
  name = "ConnectionError";
  code = "connection_failed";
  temporary = true;

  /**
   * @param {import("./connection-watch.js").Stage} stage at which it failed
   * @param {string} id of the session
   */
  constructor(stage, id) {
    super(failedWords(stage));
    this.stage = stage;
    this.id = id;
  }
}

/**
 * What is sent and received.
 * @typedef {object} Media
 * @property {MediaStream | null} outgoing null when nothing is sent
 * @property {("audio" | "video")[]} incoming kinds of what is received
 * @property {Partial<RTCRtpSendParameters>} rtpParams for every sender
 */

/**
 * Events: `answered` (the server knows the session), `message` (detail: `{type, data}`), `track` (detail: the MediaStream
 * of everything that came so far), and after `open()` has resolved `interrupted`, `restored` and, once, `lost`.
 */
export class Peer extends EventTarget {
  /** FastRTC's name on the wire: webrtc_id. */
  id = crypto.randomUUID();
  #api;
  #connection;
  #watch;
  #channel;
  #media;
  #incoming = new MediaStream();
  #closed = false;
  #lost = false;
  #answered = false;
  /** @type {RTCIceCandidateInit[]} found before the answer: the server does not know this session yet */
  #waiting = [];
  /** @type {Promise<void>[]} candidates on their way to the server */
  #sent = [];
  /** @type {{resolve: () => void, reject: (error: Error) => void} | null} */
  #opening = null;
  #opened = false;
  /** @type {ReturnType<ConnectionWatch["report"]> | undefined} what we saw of a connection that failed */
  #report;

  /**
   * @param {import("./session-api.js").SessionApi} api
   * @param {RTCConfiguration} configuration
   * @param {Media} media
   */
  constructor(api, configuration, media) {
    super();
    this.#api = api;
    this.#media = media;
    const connection = (this.#connection = new RTCPeerConnection(configuration));
    this.#watch = new ConnectionWatch(connection);
    connection.addEventListener("icegatheringstatechange", () => this.#despair());
    connection.addEventListener("icecandidate", (event) => this.#trickle(event.candidate));
    connection.addEventListener("connectionstatechange", () => this.#follow());
    connection.addEventListener("track", (event) => {
      // Not event.streams[0]: an answer may name no stream.
      this.#incoming.addTrack(event.track);
      this.#emit("track", this.#incoming);
    });
    this.#channel = connection.createDataChannel("text");
    this.#channel.addEventListener("open", () => {
      this.#channel.send("handshake");
      this.#follow();
    });
    this.#channel.addEventListener("close", () => this.#lose());
    this.#channel.addEventListener("message", (event) => this.#receive(event.data));
    this.#offerMedia(media);
  }

  /** Where the connection stands. */
  get stage() {
    return this.#watch.stage;
  }

  /** @param {Media} media */
  #offerMedia({ outgoing, incoming }) {
    const tracks = outgoing?.getTracks() ?? [];
    for (const track of tracks) {
      const direction = incoming.some((kind) => kind === track.kind) ? "sendrecv" : "sendonly";
      this.#connection.addTransceiver(track, { direction, streams: outgoing ? [outgoing] : [] });
    }
    for (const kind of incoming.filter((kind) => !tracks.some((track) => track.kind === kind))) {
      this.#connection.addTransceiver(kind, { direction: "recvonly" });
    }
  }

  /** Resolves when media and messages flow; rejects with an ApiError or a ConnectionError. */
  async open() {
    /** @type {Promise<void>} */
    const opened = new Promise((resolve, reject) => (this.#opening = { resolve, reject }));
    opened.catch(() => {}); // the negotiation below may fail first
    const timer = setTimeout(() => this.#lose(), CONNECT_TIMEOUT_MS);
    try {
      await Promise.race([this.#negotiate(), opened]); // an answer may never come
      await opened;
    } finally {
      clearTimeout(timer);
    }
  }

  async #negotiate() {
    await this.#connection.setLocalDescription();
    const answer = await this.#api.offer(this.id, this.#connection.localDescription?.sdp ?? "");
    if (this.#closed) return this.#sayGoodbye(); // when we left, the server did not know this session
    this.#emit("answered");
    await this.#connection.setRemoteDescription(answer);
    this.#answered = true;
    await this.#tuneSenders();
    this.#waiting.splice(0).forEach((candidate) => this.#send(candidate));
    this.#despair();
  }

  async #tuneSenders() {
    const { encodings: wanted = [], ...others } = this.#media.rtpParams;
    for (const sender of this.#connection.getSenders().filter(({ track }) => track)) {
      const parameters = sender.getParameters();
      const encodings = parameters.encodings.map((encoding, index) => ({ ...encoding, ...wanted[index] }));
      await sender.setParameters({ ...parameters, ...others, encodings }).catch((error) => console.warn("rtp_params:", error));
    }
  }

  /** @param {MediaStreamTrack} track in place of the one of its kind */
  async replace(track) {
    const sender = this.#connection.getSenders().find(({ track: current }) => current?.kind === track.kind);
    await sender?.replaceTrack(track);
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#opening?.reject(new ConnectionError(this.stage, this.id));
    this.#connection.close();
    this.#sayGoodbye();
  }

  #sayGoodbye() {
    this.#api.close(this.id, this.#report).catch(() => {}); // the server notices by itself when this is lost
  }

  /** @param {RTCIceCandidate | null} candidate null: that was the last one */
  #trickle(candidate) {
    const init = candidate?.toJSON() ?? { candidate: "", sdpMid: "0", sdpMLineIndex: 0 };
    if (this.#answered) this.#send(init);
    else this.#waiting.push(init);
  }

  /** @param {RTCIceCandidateInit} candidate */
  async #send(candidate) {
    if (!candidate.candidate) await Promise.all(this.#sent); // whatever comes after the end is not taken
    if (this.#closed) return;
    // One lost candidate is no failure: another one may connect, and if none does the connection says so.
    this.#sent.push(this.#api.candidate(this.id, candidate).then(({ candidates }) => this.#add(candidates ?? []), () => {}));
  }

  /** @param {RTCIceCandidateInit[]} candidates of the server, found after its answer */
  #add(candidates) {
    if (this.#closed) return;
    for (const candidate of candidates) this.#connection.addIceCandidate(candidate).catch((error) => console.warn("candidate:", error));
  }

  #despair() {
    if (this.#answered && this.#watch.isHopeless) this.#lose();
  }

  #follow() {
    const state = this.#connection.connectionState;
    if (state === "failed") this.#lose();
    else if (state === "disconnected") this.#emit("interrupted");
    else if (state === "connected" && this.#channel.readyState === "open") {
      this.#opened = true;
      this.#opening?.resolve();
      this.#emit("restored");
    }
  }

  #lose() {
    if (this.#closed || this.#lost) return;
    this.#lost = true;
    if (!this.#opened) this.#report = this.#watch.report();
    this.#opening?.reject(new ConnectionError(this.stage, this.id));
    this.#emit("lost");
  }

  /** @param {string} text */
  #receive(text) {
    try {
      this.#emit("message", JSON.parse(text));
    } catch {
      console.warn("Not a message:", text);
    }
  }

  /**
   * @param {string} type
   * @param {unknown} [detail]
   */
  #emit(type, detail) {
    if (!this.#closed) this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
