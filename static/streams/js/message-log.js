/** What happened in the session, in words, newest at the bottom; and the same messages raw. */

const KEPT = 200;

/** @type {Record<string, string>} by a log message's data */
const WORDS = {
  started_talking: "You started to speak",
  pause_detected: "You paused",
  response_starting: "The answer starts",
  response_finished: "The answer is finished",
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

  /**
   * A message of the server.
   * @param {{type: string, data?: unknown}} message
   */
  message(message) {
    const text = typeof message.data === "string" ? message.data : JSON.stringify(message.data ?? "");
    this.#append(this.#raw, message.type, text, JSON.stringify(message));
    // Requests between the server and the page are no news for people.
    if (["send_input", "fetch_output", "update_connection"].includes(message.type)) return;
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
   */
  #append(list, type, text, words) {
    const following = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const entry = document.createElement("li");
    Object.assign(entry.dataset, { type, text });
    const time = document.createElement("time");
    const now = new Date();
    time.dateTime = now.toISOString();
    time.textContent = now.toLocaleTimeString([], { hour12: false });
    const what = document.createElement("span");
    what.textContent = words;
    entry.append(time, what);
    list.append(entry);
    if (list.childElementCount > KEPT) list.firstElementChild?.remove();
    if (following) list.scrollTop = list.scrollHeight;
  }
}
