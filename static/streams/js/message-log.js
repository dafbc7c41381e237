/** What happened in the session, in words, newest at the bottom; and the same messages raw. */

import { ReplyTimings } from "./reply-timing.js";

const KEPT = 200;

/** @type {Record<string, string>} by a log message's data */
const WORDS = {
  started_talking: "You started to speak",
  pause_detected: "You paused",
  response_starting: "The answer starts",
  response_finished: "The answer is finished",
  response_resumed: "Went on with the answer",
};

/** @type {Record<string, Record<string, string>>} where a stream is no conversation, by mode */
const OTHERWISE = {
  receive: { response_starting: "It starts to play", response_finished: "It has been played" },
  send: { response_starting: "It was taken in", response_finished: "Ready for more" },
};

export class MessageLog {
  #list;
  #raw;
  #words;
  #timings = new ReplyTimings();

  /**
   * @param {HTMLElement} list
   * @param {HTMLElement} raw
   * @param {string} mode
   */
  constructor(list, raw, mode) {
    this.#list = list;
    this.#raw = raw;
    this.#words = { ...WORDS, ...OTHERWISE[mode] };
  }

  /** What follows belongs to a new session. */
  connect() {
    this.#timings.reset();
  }

  /**
   * A message of the server.
   * @param {{type: string, data?: unknown}} message
   */
  message(message) {
    const text = typeof message.data === "string" ? message.data : JSON.stringify(message.data ?? "");
    this.#append(this.#raw, message.type, text, JSON.stringify(message));
    // Requests between the server and the page are no news for people.
    if (["send_input", "fetch_output", "update_connection"].includes(message.type)) return;
    if (message.type === "timing") {
      const entries = this.#timings.read(/** @type {import("./reply-timing.js").Timing} */ (message.data));
      return entries.forEach(({ words, details }) => this.#append(this.#list, message.type, words, words, details));
    }
    this.#append(this.#list, message.type, text, message.type === "stopword" ? "The stop word was heard" : (this.#words[text] ?? text));
  }

  /**
   * Something this page did or noticed.
   * @param {string} text
   */
  note(text) {
    this.#append(this.#list, "page", text, text);
  }

  /**
   * @param {HTMLElement} list
   * @param {string} type
   * @param {string} text
   * @param {string} words
   * @param {string} [details] shown when asked for
   */
  #append(list, type, text, words, details) {
    const following = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const entry = document.createElement("li");
    Object.assign(entry.dataset, { type, text });
    const time = document.createElement("time");
    const now = new Date();
    time.dateTime = now.toISOString();
    time.textContent = now.toLocaleTimeString([], { hour12: false });
    entry.append(time, details ? disclosure(words, details) : element("span", words));
    list.append(entry);
    if (list.childElementCount > KEPT) list.firstElementChild?.remove();
    if (following) list.scrollTop = list.scrollHeight;
  }
}

/**
 * @param {string} tag
 * @param {string} text
 */
function element(tag, text) {
  return Object.assign(document.createElement(tag), { textContent: text });
}

/**
 * @param {string} words
 * @param {string} details
 */
function disclosure(words, details) {
  const closed = document.createElement("details");
  closed.append(element("summary", words), element("p", details));
  return closed;
}
