/**
 * The page's states, and which server message leads to which.
 *
 * A session is idle → asking → connecting → (listening ⇄ speaking → thinking → answering) → ended | error,
 * with reconnecting possible from every live state.
 */

/** @typedef {"idle"|"asking"|"connecting"|"listening"|"speaking"|"thinking"|"answering"|"reconnecting"|"ended"|"error"} StateName */

/** @type {Record<StateName, {words: string, hint: string}>} */
export const STATES = {
  idle: { words: "Not connected", hint: "Press Start when you are ready." },
  asking: { words: "Asking for the microphone", hint: "Your browser may ask for permission." },
  connecting: { words: "Connecting", hint: "" },
  listening: { words: "Listening", hint: "Speak whenever you like." },
  speaking: { words: "You are speaking", hint: "Pause when you have finished." },
  thinking: { words: "Thinking", hint: "The answer is on its way." },
  answering: { words: "Answering", hint: "Listen, or speak again." },
  reconnecting: { words: "Reconnecting", hint: "The connection was interrupted." },
  ended: { words: "Ended", hint: "Press Start for a new session." },
  error: { words: "Not connected", hint: "" },
};

/** @type {ReadonlySet<StateName>} media flows both ways */
export const LIVE = new Set(["listening", "speaking", "thinking", "answering"]);

/** @type {ReadonlySet<StateName>} the big button says Stop */
export const ACTIVE = new Set(["asking", "connecting", "reconnecting", ...LIVE]);

/** @type {Record<string, {from: ReadonlySet<StateName>, to: StateName}>} */
const ON_LOG = {
  started_talking: { from: LIVE, to: "speaking" },
  pause_detected: { from: LIVE, to: "thinking" },
  response_starting: { from: LIVE, to: "answering" },
  // After a barge-in this arrives while the visitor speaks, and must not hide that.
  response_finished: { from: new Set(["answering"]), to: "listening" },
};

const AFTER_ERROR = { from: new Set(["thinking", "answering"]), to: "listening" };

/**
 * @param {StateName} state
 * @param {{type: string, data?: unknown}} message
 * @returns {StateName}
 */
export function nextState(state, message) {
  const rule = message.type === "log" ? ON_LOG[String(message.data)] : message.type === "error" ? AFTER_ERROR : null;
  return rule?.from.has(state) ? /** @type {StateName} */ (rule.to) : state;
}
