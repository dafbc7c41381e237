/** What becomes of a connection while it is made: the stage it is at, and what that means to a visitor. */

/**
 * As the server names them: streams/media/transports/diagnosis.py.
 * @typedef {"signalling"|"gathering"|"candidates"|"relay_refused"|"relay_expired"|"relay_full"|"relay_unreachable"|"checks"|"dtls"|"connected"} Stage
 */

const NETWORK = "A VPN or a firewall may be in the way: try another network, then press Start.";
const ADMINISTRATOR = "This is for the site's administrator to mend.";

/** What failed, and what the visitor can do. @type {Record<Stage, string>} */
const FAILED = {
  signalling: "The server did not answer in time. Check your internet connection, then press Start.",
  gathering: "Your browser found no way out to the network. An extension or a policy may switch WebRTC off: try another browser.",
  candidates: `This stream can be reached over a relay server only, and the site has none. ${ADMINISTRATOR}`,
  relay_refused: `The relay server that this connection needs refused the site's credentials. ${ADMINISTRATOR}`,
  relay_expired: "The credentials for the relay server have expired. Reload the page, then press Start.",
  relay_full: "The relay server that this connection needs has no room. Please try again in a moment.",
  relay_unreachable: `The relay server that this connection needs cannot be reached. ${NETWORK}`,
  checks: `No path between your browser and the server works. ${NETWORK}`,
  dtls: `A path to the server was found, but no encrypted connection came about. ${NETWORK}`,
  connected: `The connection failed. ${NETWORK}`,
};

/** What takes so long. @type {Partial<Record<Stage, string>>} */
const SLOW = {
  signalling: "The server is slow to answer…",
  relay_refused: "The relay server refuses the site's credentials. Trying without it…",
  relay_expired: "The credentials for the relay server have expired. Trying without it…",
  dtls: "A path to the server was found. Setting up the encrypted connection…",
};
const SLOW_OTHERWISE = "Taking longer than usual to connect… A VPN or a firewall may be in the way.";

/** @param {Stage} stage */
export const failedWords = (stage) => FAILED[stage];

/** @param {Stage} stage */
export const slowWords = (stage) => SLOW[stage] ?? SLOW_OTHERWISE;

// RFC 8656, section 19, and RFC 8489, section 14.8.
const REFUSED = new Set([401, 403, 441]);
const FULL = new Set([486, 508]);
const MAX_ERRORS = 8; // more than the server takes note of

export class ConnectionWatch {
  #connection;
  /** @type {Record<string, number>} */
  #candidates = {};
  /** @type {number[]} of TURN servers */
  #errors = [];

  /** @param {RTCPeerConnection} connection that gathers nothing yet */
  constructor(connection) {
    this.#connection = connection;
    connection.addEventListener("icecandidate", ({ candidate }) => candidate?.candidate && this.#count(candidate));
    connection.addEventListener("icecandidateerror", ({ url, errorCode }) => {
      if (url?.startsWith("turn") && this.#errors.length < MAX_ERRORS) this.#errors.push(errorCode);
    });
  }

  /** @param {RTCIceCandidate} candidate */
  #count({ address, type }) {
    const kind = address?.endsWith(".local") ? "mdns" : (type ?? "host");
    this.#candidates[kind] = (this.#candidates[kind] ?? 0) + 1;
  }

  /** Whether this browser has no address to connect from, and will not find one any more. */
  get isHopeless() {
    return this.#connection.iceGatheringState === "complete" && !Object.keys(this.#candidates).length;
  }

  /** The stage that the connection is at, which is where it fails if it does. @returns {Stage} */
  get stage() {
    const { connectionState, iceConnectionState, remoteDescription } = this.#connection;
    if (connectionState === "connected") return "connected";
    if (!remoteDescription) return "signalling";
    if (iceConnectionState === "connected" || iceConnectionState === "completed") return "dtls";
    return this.#relayTrouble() ?? (Object.keys(this.#candidates).length ? "checks" : this.#isRelayOnly ? "candidates" : "gathering");
  }

  get #isRelayOnly() {
    return this.#connection.getConfiguration().iceTransportPolicy === "relay";
  }

  /** Why there is no relay, if there should be one. @returns {Stage | null} */
  #relayTrouble() {
    const relays = (this.#connection.getConfiguration().iceServers ?? []).filter(({ urls }) => [urls].flat().some((url) => url.startsWith("turn")));
    if (!relays.length || this.#candidates.relay) return null;
    if (this.#errors.some((code) => FULL.has(code))) return "relay_full";
    if (!this.#errors.some((code) => REFUSED.has(code))) return "relay_unreachable";
    return relays.every(({ username }) => hasExpired(username ?? "")) ? "relay_expired" : "relay_refused";
  }

  /** For the server. */
  report() {
    return { stage: this.stage, candidates: this.#candidates, errors: this.#errors };
  }
}

/**
 * Whether a user name of the usual kind, "expiry time:user", is too old by this browser's clock.
 * @param {string} username
 */
function hasExpired(username) {
  const [seconds] = username.split(":");
  return /^\d{9,}$/.test(seconds) && Number(seconds) * 1000 < Date.now();
}
