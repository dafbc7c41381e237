/**
 * The page's states, and which server message leads to which.
 *
 * A session is idle → asking → connecting → (listening ⇄ [heard →] speaking → thinking → answering) → ended | error,
 * with reconnecting possible from every live state.
 */

/** @typedef {"idle"|"asking"|"connecting"|"listening"|"heard"|"speaking"|"thinking"|"answering"|"reconnecting"|"ended"|"error"} StateName */
/** @typedef {{words: string, hint: string}} Wording */

/** @type {Record<StateName, Wording>} */
const STATES = {
  idle: { words: "Not connected", hint: "Press Start when you are ready." },
  asking: { words: "Asking for the microphone", hint: "Your browser may ask for permission." },
  connecting: { words: "Connecting", hint: "" },
  listening: { words: "Listening", hint: "Speak whenever you like." },
  heard: { words: "Heard you", hint: "Go on, I am listening." },
  speaking: { words: "You are speaking", hint: "Pause when you have finished." },
  thinking: { words: "Thinking", hint: "The answer is on its way." },
  answering: { words: "Answering", hint: "Listen, or speak again." },
  reconnecting: { words: "Reconnecting", hint: "The connection was interrupted." },
  ended: { words: "Ended", hint: "Press Start for a new session." },
  error: { words: "Not connected", hint: "" },
};

const TAKING_DOWN = { words: "Taking it in", hint: "What you said is being worked on." };
const PLAYING = { words: "Playing", hint: "Listen." };
const WATCHING = { words: "Playing", hint: "Watch." };
const LIVE_PICTURE = { words: "Live", hint: "You see what the stream makes of your camera." };
const SENDING_PICTURE = { words: "Live", hint: "The stream sees your camera." };

/** Where a stream is no conversation. @type {Record<string, Partial<Record<StateName, Wording>>>} by modality and mode */
const OTHERWISE = {
  "audio send": { thinking: TAKING_DOWN, answering: TAKING_DOWN },
  "audio receive": { listening: PLAYING, answering: PLAYING },
  "video send-receive": { listening: LIVE_PICTURE },
  "video send": { listening: SENDING_PICTURE },
  "video receive": { listening: WATCHING },
  "audio-video send-receive": { listening: { words: "Live", hint: "You are seen and heard." } },
  "audio-video send": { listening: { words: "Live", hint: "You are seen and heard." }, thinking: TAKING_DOWN, answering: TAKING_DOWN },
  "audio-video receive": { listening: { words: "Playing", hint: "Watch and listen." } },
};

/** @type {Record<string, string>} by modality */
const ASKING = {
  video: "Asking for the camera",
  "audio-video": "Asking for camera and microphone",
};

/**
 * @param {import("./stream-page.js").Settings} settings
 * @returns {Record<StateName, Wording>}
 */
export function wordings({ modality, mode, stopWords, overWords }) {
  const asking = { ...STATES.asking, words: ASKING[modality] ?? STATES.asking.words };
  const words = { ...STATES, asking, ...OTHERWISE[`${modality} ${mode}`] };
  if (stopWords) return { ...words, ...armedBy(stopWords) };
  return overWords ? { ...words, ...endedBy(overWords) } : words;
}

/** Nothing is answered until one of them was said. @param {string[]} stopWords */
function armedBy(stopWords) {
  return {
    listening: { words: `Listening for ${quoted(stopWords)}`, hint: "Only what follows it is answered." },
    // The message does not tell which of several it was.
    heard: { words: stopWords.length === 1 ? `Heard ${quoted(stopWords)}` : "Heard you", hint: STATES.heard.hint },
  };
}

/** A pause ends nothing. @param {string[]} overWords */
function endedBy(overWords) {
  const hint = `Say ${quoted(overWords)} when you have finished.`;
  return { listening: { words: "Listening", hint }, speaking: { words: "You are speaking", hint } };
}

/** @param {string[]} phrases */
function quoted(phrases) {
  return phrases.map((phrase) => `“${phrase}”`).join(" or ");
}

/** @type {ReadonlySet<StateName>} media flows */
export const LIVE = new Set(["listening", "heard", "speaking", "thinking", "answering"]);

/** @type {ReadonlySet<StateName>} the big button says Stop */
export const ACTIVE = new Set(["asking", "connecting", "reconnecting", ...LIVE]);

/** @type {Record<string, {from: ReadonlySet<StateName>, to: StateName}>} */
const ON_LOG = {
  started_talking: { from: LIVE, to: "speaking" },
  pause_detected: { from: LIVE, to: "thinking" },
  response_starting: { from: LIVE, to: "answering" },
  response_resumed: { from: LIVE, to: "answering" },
  // After a barge-in this arrives while the visitor speaks, and must not hide that.
  response_finished: { from: new Set(["answering"]), to: "listening" },
};

/** @type {Record<string, {from: ReadonlySet<StateName>, to: StateName}>} by a message's type */
const ON_OTHERS = {
  stopword: { from: LIVE, to: "heard" },
  error: { from: new Set(["thinking", "answering"]), to: "listening" },
};

/**
 * @param {StateName} state
 * @param {{type: string, data?: unknown}} message
 * @returns {StateName}
 */
export function nextState(state, message) {
  const rule = message.type === "log" ? ON_LOG[String(message.data)] : ON_OTHERS[message.type];
  return rule?.from.has(state) ? /** @type {StateName} */ (rule.to) : state;
}
