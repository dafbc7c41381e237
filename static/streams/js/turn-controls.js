/** Answers without waiting for a pause: a typed text, or a button for what was said so far. */

import { ApiError } from "./session-api.js";

export class TurnControls {
  #form;
  #button;
  #api;
  #tell;
  /** @type {string | null} */
  #id = null;

  /**
   * @param {HTMLFormElement | null} form with one text input
   * @param {HTMLButtonElement | null} button
   * @param {import("./session-api.js").SessionApi} api
   * @param {(sentence: string) => void} tell
   */
  constructor(form, button, api, tell) {
    this.#form = form;
    this.#button = button;
    this.#api = api;
    this.#tell = tell;
    button?.addEventListener("click", () => this.#trigger(""));
    form?.addEventListener("submit", (event) => (event.preventDefault(), this.#say()));
  }

  /** @param {string} id */
  connect(id) {
    this.#id = id;
  }

  disconnect() {
    this.#id = null;
  }

  /** @param {boolean} live whether a session would hear it */
  enable(live) {
    const buttons = [this.#button, this.#form?.querySelector("button")];
    buttons.forEach((button) => button && (button.disabled = !live));
  }

  async #say() {
    const input = this.#form?.querySelector("input");
    const text = input?.value.trim();
    if (input && text && (await this.#trigger(text))) input.value = "";
  }

  /**
   * @param {string} text
   * @returns {Promise<boolean>}
   */
  async #trigger(text) {
    if (!this.#id) return false;
    try {
      await this.#api.trigger(this.#id, text);
      if (text) this.#tell(`You wrote: ${text}`);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#tell(error.message);
      return false;
    }
  }
}
