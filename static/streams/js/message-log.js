/** What happened in the session, in words, newest at the bottom; and the same messages raw. */

const KEPT = 200;

/** @type {Record<string, string>} */
const WORDS = {
  started_talking: "You started to speak",
  pause_detected: "You paused",
  response_starting: "The answer starts",
  response_finished: "The answer is finished",
};

export class MessageLog {
  #list;
  #raw;

  /**
   * @param {HTMLElement} list
   * @param {HTMLElement} raw
   */
  constructor(list, raw) {
    this.#list = list;
    this.#raw = raw;
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
    this.#append(this.#list, message.type, text, WORDS[text] ?? text);
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
