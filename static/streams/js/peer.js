/** One WebRTC connection to one stream: offer, trickled candidates, data channel. It never reconnects (see rtc-client.js). */

const CONNECT_TIMEOUT_MS = 30_000;

export class ConnectionError extends Error {
  name = "ConnectionError";
  code = "connection_failed";
  temporary = true;

  constructor() {
    super("The connection failed. A VPN or a firewall may be in the way: try another network, then press Start.");
  }
}

/**
 * Events: `message` (detail: `{type, data}`), `track` (detail: MediaStream), and after `open()` has
 * resolved `interrupted`, `restored` and, once, `lost`.
 */
export class Peer extends EventTarget {
  /** FastRTC's name on the wire: webrtc_id. */
  id = crypto.randomUUID();
  #api;
  #connection;
  #channel;
  #closed = false;
  #lost = false;
  #answered = false;
  /** @type {RTCIceCandidateInit[]} found before the answer: the server does not know this session yet */
  #waiting = [];
  /** @type {{resolve: () => void, reject: (error: Error) => void} | null} */
  #opening = null;

  /**
   * @param {import("./session-api.js").SessionApi} api
   * @param {RTCConfiguration} configuration
   * @param {MediaStream | null} microphone null when the stream only sends
   */
  constructor(api, configuration, microphone) {
    super();
    this.#api = api;
    const connection = (this.#connection = new RTCPeerConnection(configuration));
    connection.addEventListener("icecandidate", (event) => this.#trickle(event.candidate));
    connection.addEventListener("connectionstatechange", () => this.#follow());
    connection.addEventListener("track", (event) => {
      // Not event.streams[0]: an answer may name no stream.
      this.#emit("track", new MediaStream([event.track]));
    });
    this.#channel = connection.createDataChannel("text");
    this.#channel.addEventListener("open", () => {
      this.#channel.send("handshake");
      this.#follow();
    });
    this.#channel.addEventListener("close", () => this.#lose());
    this.#channel.addEventListener("message", (event) => this.#receive(event.data));
    if (microphone) microphone.getAudioTracks().forEach((track) => connection.addTrack(track, microphone));
    else connection.addTransceiver("audio", { direction: "recvonly" });
  }

  /** Resolves when media and messages flow; rejects with an ApiError or a ConnectionError. */
  async open() {
    /** @type {Promise<void>} */
    const opened = new Promise((resolve, reject) => (this.#opening = { resolve, reject }));
    opened.catch(() => {}); // the negotiation below may fail first
    const timer = setTimeout(() => this.#lose(), CONNECT_TIMEOUT_MS);
    try {
      await this.#connection.setLocalDescription();
      const answer = await this.#api.offer(this.id, this.#connection.localDescription?.sdp ?? "");
      if (!this.#closed) await this.#connection.setRemoteDescription(answer);
      this.#answered = true;
      this.#waiting.splice(0).forEach((candidate) => this.#send(candidate));
      await opened;
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {MediaStreamTrack} track */
  async replaceMicrophone(track) {
    const sender = this.#connection.getSenders().find(({ track: current }) => current?.kind === "audio");
    await sender?.replaceTrack(track);
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#opening?.reject(new ConnectionError());
    this.#connection.close();
    this.#api.close(this.id).catch(() => {}); // the server notices by itself when this is lost
  }

  /** @param {RTCIceCandidate | null} candidate null: that was the last one */
  #trickle(candidate) {
    const init = candidate?.toJSON() ?? { candidate: "", sdpMid: "0", sdpMLineIndex: 0 };
    if (this.#answered) this.#send(init);
    else this.#waiting.push(init);
  }

  /** @param {RTCIceCandidateInit} candidate */
  #send(candidate) {
    if (this.#closed) return;
    // One lost candidate is no failure: another one may connect, and if none does the connection says so.
    this.#api.candidate(this.id, candidate).catch(() => {});
  }

  #follow() {
    const state = this.#connection.connectionState;
    if (state === "failed") this.#lose();
    else if (state === "disconnected") this.#emit("interrupted");
    else if (state === "connected" && this.#channel.readyState === "open") {
      this.#opening?.resolve();
      this.#emit("restored");
    }
  }

  #lose() {
    if (this.#closed || this.#lost) return;
    this.#lost = true;
    this.#opening?.reject(new ConnectionError());
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
