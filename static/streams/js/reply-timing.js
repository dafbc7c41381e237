/** How quickly the stream answered, and how much of an answer was heard, in words. */

/**
 * The server's "timing" message. Moments are seconds of the session's media clock; null has not happened.
 * @typedef {object} Timing
 * @property {number} number of the reply in its session
 * @property {number} decided
 * @property {number | null} speech_ended null when the reply answers no utterance
 * @property {number | null} completeness 0 to 1; null when silence alone decided
 * @property {number | null} first_item
 * @property {number | null} first_packet
 * @property {number | null} heard
 * @property {number | null} ended
 * @property {number} generated_seconds
 * @property {number} heard_seconds
 * @property {boolean} interrupted
 */

/** @typedef {{words: string, details?: string}} Entry */

export class ReplyTimings {
  /** The reply whose answer time has been told. */
  #told = 0;

  /** Another session counts its replies anew. */
  reset() {
    this.#told = 0;
  }

  /**
   * What is new in this message. It comes when a reply begins to be heard, and when it is over.
   * @param {Timing} timing
   * @returns {Entry[]}
   */
  read(timing) {
    const entries = [];
    const heard = timing.heard ?? timing.first_packet;
    if (timing.speech_ended !== null && heard !== null && timing.number !== this.#told) {
      this.#told = timing.number;
      entries.push({ words: `Answered after ${seconds(heard - timing.speech_ended)}`, details: details(timing, timing.speech_ended) });
    }
    if (timing.interrupted && timing.generated_seconds > 0) {
      entries.push({ words: `Interrupted after ${brief(timing.heard_seconds)} of ${brief(timing.generated_seconds)}` });
    }
    return entries;
  }
}

/**
 * @param {Timing} timing
 * @param {number} ended when the visitor's last word was over
 */
function details(timing, ended) {
  const sounded = timing.completeness === null ? "Silence decided" : `It sounded ${Math.round(100 * timing.completeness)} % complete; decided`;
  const made = timing.first_item === null ? "" : `, the first sound made ${seconds(timing.first_item - timing.decided)} later`;
  return `${sounded} ${seconds(timing.decided - ended)} after your last word${made}.`;
}

/** @param {number} value */
const seconds = (value) => `${Math.max(value, 0).toFixed(2)} s`;

/** @param {number} value */
const brief = (value) => `${value.toFixed(1)} s`;
