/** Shows outputs, each kind in its own way: data-output = text | number | json | chat | image. */

const KEPT = 500;
const NUMBER = new Intl.NumberFormat(undefined, { maximumFractionDigits: 3 });
const PICTURE = /^(data:image\/|https?:\/\/|\/)/;

/** @typedef {(panel: HTMLElement, value: any) => void} Renderer raises TypeError for a value that is not of its kind */

/** @type {Record<string, Renderer>} */
const RENDERERS = {
  text: (panel, value) => append(panel, typeof value === "object" ? JSON.stringify(value) : String(value)),

  number(panel, value) {
    if (typeof value !== "number") throw new TypeError("not a number");
    panel.textContent = NUMBER.format(value);
  },

  json: (panel, value) => void (panel.textContent = JSON.stringify(value, null, 2)),

  /** A list is the whole conversation, one message goes on with it. */
  chat(panel, value) {
    const messages = Array.isArray(value) ? value : [value];
    if (!messages.every((message) => typeof message?.role === "string" && "content" in message)) throw new TypeError("not a message");
    const first = Array.isArray(value) ? 0 : panel.childElementCount;
    messages.forEach(({ role, content }, index) => {
      const bubble = /** @type {HTMLElement} */ (panel.children[first + index] ?? append(panel, ""));
      const text = typeof content === "string" ? content : JSON.stringify(content);
      bubble.dataset.role = role;
      if (bubble.textContent !== text) bubble.textContent = text; // a grown last message leaves the others alone
    });
    if (Array.isArray(value)) while (panel.childElementCount > messages.length) panel.lastElementChild?.remove();
    panel.scrollTop = panel.scrollHeight;
  },

  image(panel, value) {
    const image = panel.querySelector("img");
    if (!image || typeof value !== "string" || !PICTURE.test(value)) throw new TypeError("not a picture");
    image.src = value;
    image.hidden = false;
  },
};

export class OutputPanels {
  #panels;
  #empty;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#panels = /** @type {HTMLElement[]} */ ([...root.querySelectorAll("[data-output]")]);
    this.#empty = this.#panels.map((panel) => panel.innerHTML);
  }

  clear() {
    this.#panels.forEach((panel, index) => (panel.innerHTML = this.#empty[index]));
  }

  /**
   * One value for a single panel; for several a list, by position, where null leaves a panel as it is.
   * @param {unknown} value
   */
  show(value) {
    const values = this.#panels.length > 1 && Array.isArray(value) ? value : [value];
    /** @type {unknown} */
    let failure;
    values.slice(0, this.#panels.length).forEach((each, index) => {
      try {
        if (each !== null) RENDERERS[this.#panels[index].dataset.output ?? ""](this.#panels[index], each);
      } catch (error) {
        failure = error; // the other panels have good values
      }
    });
    if (failure) throw failure;
  }
}

/**
 * Adds a line, and shows it unless the visitor has scrolled back.
 * @param {HTMLElement} list
 * @param {string} text
 */
function append(list, text) {
  const following = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const line = document.createElement("li");
  line.textContent = text;
  list.append(line);
  if (list.childElementCount > KEPT) list.firstElementChild?.remove();
  if (following) list.scrollTop = list.scrollHeight;
  return line;
}
