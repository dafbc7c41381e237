/** The HTTP side of a session: offer, candidates, ICE servers, inputs, outputs, close. Every failure is an ApiError with words for people. */

/** @type {Record<string, string>} */
const WORDS = {
  concurrency_limit_reached: "This stream is full right now. Please try again in a moment.",
  server_full: "The server is full right now. Please try again in a moment.",
  shutting_down: "The server is shutting down. Please try again in a minute.",
  login_required: "You need to sign in to use this stream.",
  forbidden: "Your account may not use this stream.",
  csrf_failed: "This page has expired. Reload it, then press Start.",
  unknown_stream: "This stream does not exist any more.",
  stream_disabled: "This stream is switched off at the moment.",
  unknown_connection: "This session is over. Press Start for a new one.",
  unreachable: "The server can't be reached. Check your internet connection, then press Start.",
};

const TEMPORARY = new Set(["concurrency_limit_reached", "server_full", "ports_exhausted", "shutting_down", "connection_already_exists", "unreachable"]);

export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {string} [detail] a sentence from the server, used when we have no better one
   * @param {Record<string, string[]>} [fields] what is wrong with the inputs, by field
   */
  constructor(code, detail, fields) {
    super(WORDS[code] ?? detail ?? `The server refused the connection (${code}).`);
    this.name = "ApiError";
    this.code = code;
    this.fields = fields;
    /** Whether the same request may succeed a moment later. */
    this.temporary = TEMPORARY.has(code);
  }
}

export class SessionApi {
  /**
   * @param {string} base such as /api/streams/echo
   * @param {string} csrfToken
   */
  constructor(base, csrfToken) {
    this.base = base;
    this.csrfToken = csrfToken;
  }

  /** @returns {Promise<RTCConfiguration>} */
  configuration() {
    return this.#request("/rtc_configuration", { method: "GET" });
  }

  /**
   * @param {string} id
   * @param {string} sdp
   * @returns {Promise<RTCSessionDescriptionInit>}
   */
  async offer(id, sdp) {
    const answer = await this.#post("/webrtc/offer", { sdp, type: "offer", webrtc_id: id });
    return { sdp: answer.sdp, type: "answer" };
  }

  /**
   * @param {string} id
   * @param {RTCIceCandidateInit} candidate
   */
  candidate(id, { candidate, sdpMid, sdpMLineIndex }) {
    return this.#post("/webrtc/offer", {
      type: "ice-candidate",
      webrtc_id: id,
      candidate: { candidate, sdpMid, sdpMLineIndex },
    });
  }

  /**
   * @param {string} id
   * @param {Record<string, unknown>} inputs by name
   */
  input(id, inputs) {
    return this.#post("/input_hook", { webrtc_id: id, inputs });
  }

  /**
   * @param {string} id
   * @param {string} text empty: answer to what was said so far
   */
  trigger(id, text) {
    return this.#post("/trigger", { webrtc_id: id, text });
  }

  /**
   * @param {string} id
   * @returns {string} for an EventSource
   */
  outputs(id) {
    return `${this.base}/outputs?webrtc_id=${encodeURIComponent(id)}`;
  }

  /**
   * @param {string} id
   * @param {object} [report] what we saw of a connection that failed
   */
  close(id, report) {
    return this.#post("/close", { webrtc_id: id, report }, { keepalive: true });
  }

  /**
   * @param {string} path
   * @param {object} body
   * @param {RequestInit} [options]
   */
  #post(path, body, options) {
    const headers = { "Content-Type": "application/json", "X-CSRFToken": this.csrfToken };
    return this.#request(path, { method: "POST", headers, body: JSON.stringify(body), ...options });
  }

  /**
   * @param {string} path
   * @param {RequestInit} options
   */
  async #request(path, options) {
    const response = await fetch(this.base + path, { credentials: "same-origin", ...options }).catch(() => {
      throw new ApiError("unreachable");
    });
    const answer = await response.json().catch(() => null);
    if (response.ok && answer !== null && answer.status !== "failed") return answer;
    const { error = `HTTP ${response.status}`, detail, fields } = answer?.meta ?? {};
    throw new ApiError(error, detail, fields);
  }
}
