/** The stream's inputs: sends them when a session starts, when they change and when asked, and shows what is wrong with them. */

import { ApiError } from "./session-api.js";

const DEBOUNCE_MS = 150;

export class InputForm {
  #form;
  #api;
  /** @type {string | null} */
  #id = null;
  #timer = 0;
  #turn = 0;

  /**
   * @param {HTMLFormElement} form
   * @param {import("./session-api.js").SessionApi} api
   */
  constructor(form, api) {
    this.#form = form;
    this.#api = api;
    // Sliders while they move; what is typed only when it is complete.
    form.addEventListener("input", ({ target }) => isSlider(target) && (showValue(target), this.#soon()));
    form.addEventListener("change", () => this.#soon());
    form.addEventListener("submit", (event) => (event.preventDefault(), this.send()));
    sliders(form).forEach(showValue);
  }

  /** @param {string} id of the session that gets the values from now on */
  connect(id) {
    this.#id = id;
    return this.send();
  }

  disconnect() {
    this.#id = null;
  }

  /** Send all values now. */
  async send() {
    clearTimeout(this.#timer);
    if (!this.#id) return;
    const turn = ++this.#turn;
    /** @type {Record<string, string[]>} */
    let fields = {};
    try {
      await this.#api.input(this.#id, values(this.#form));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      fields = error.fields ?? (this.#id ? { __all__: [error.message] } : {});
    }
    if (turn === this.#turn) this.#show(fields); // else a later answer has shown, or will show, what holds
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.send(), DEBOUNCE_MS);
  }

  /** @param {Record<string, string[]>} errors by field */
  #show(errors) {
    this.#form.querySelectorAll("[data-field]").forEach((field) => {
      const problems = errors[/** @type {HTMLElement} */ (field).dataset.field ?? ""] ?? [];
      const place = field.matches(".error") ? field : field.querySelector(".error");
      if (!(place instanceof HTMLElement)) return;
      place.textContent = problems.join(" ");
      place.hidden = !problems.length;
      field.querySelectorAll("[name]").forEach((control) => control.setAttribute("aria-invalid", String(problems.length > 0)));
    });
  }
}

/**
 * By name, as JSON: a checkbox is a boolean, a choice of several a list.
 * @param {HTMLFormElement} form
 */
function values(form) {
  /** @type {Record<string, unknown>} */
  const values = {};
  for (const control of /** @type {Iterable<HTMLInputElement>} */ (form.elements)) {
    const { name, type, value, checked } = control;
    if (!name || type === "file") continue;
    if (control instanceof HTMLSelectElement && control.multiple) values[name] = [...control.selectedOptions].map((option) => option.value);
    else if (control.closest("[data-multiple]")) values[name] = [...(/** @type {string[]} */ (values[name] ?? [])), ...(checked ? [value] : [])];
    else if (type === "checkbox") values[name] = checked;
    else if (type !== "radio" || checked) values[name] = value;
    else values[name] ??= "";
  }
  return values;
}

/**
 * @param {EventTarget | null} target
 * @returns {target is HTMLInputElement}
 */
function isSlider(target) {
  return target instanceof HTMLInputElement && target.type === "range";
}

/** @param {HTMLFormElement} form */
function sliders(form) {
  return [...form.elements].filter(isSlider);
}

/** @param {HTMLInputElement} slider */
function showValue(slider) {
  const place = slider.closest("[data-field]")?.querySelector(".value");
  if (place) place.textContent = slider.value;
}
