/** Wires the page of one stream: buttons, microphone and camera, sound and picture, inputs and outputs, words. */

import { Chime } from "./chime.js";
import { slowWords } from "./connection-watch.js";
import { InputForm } from "./input-form.js";
import { LevelMeter } from "./level-meter.js";
import { LocalMedia } from "./local-media.js";
import { MessageLog } from "./message-log.js";
import { OutputFeed } from "./output-feed.js";
import { OutputPanels } from "./output-panels.js";
import { Player } from "./player.js";
import { RtcClient } from "./rtc-client.js";
import { SessionApi } from "./session-api.js";
import { ACTIVE, LIVE, nextState, wordings } from "./states.js";
import { TimeLimit } from "./time-limit.js";
import { TurnControls } from "./turn-controls.js";

const SLOW_CONNECT_MS = 5_000;
const NOTICE_MS = 8_000;

/**
 * What the server says about the stream.
 * @typedef {object} Settings
 * @property {string} modality
 * @property {string} mode
 * @property {any} trackConstraints of the only kind, or by kind
 * @property {Partial<RTCRtpSendParameters>} rtpParams
 * @property {number | null} timeLimit seconds
 * @property {string[]} [stopWords] that must be said before anything is answered
 * @property {string[]} [overWords] that end a turn
 * @property {{url: string, advice: Record<string, string>} | null} records for whoever may read them: where they are,
 *   and what an administrator can do, by stage
 */

export class StreamPage extends EventTarget {
  /** @type {import("./states.js").StateName} */
  state = "idle";
  /** @type {RtcClient | null} */
  client = null;
  /** @type {AudioContext | null} */
  #context = null;
  #slow = 0;
  #noticed = 0;

  /**
   * @param {HTMLElement} root an element with the data-… attributes of stream.html
   * @param {Settings} settings
   */
  constructor(root, settings) {
    super();
    /** @type {(name: string) => any} null where this stream has no such part */
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.root = root;
    this.settings = settings;
    this.words = wordings(settings);
    this.parts = {
      words: part("words"), hint: part("hint"), signIn: part("sign-in"), record: part("record"), advice: part("advice"), notice: part("notice"),
      toggle: part("toggle"), toggleLabel: part("toggle-label"), preview: part("preview"),
      muteMicrophone: part("mute-microphone"), muteCamera: part("mute-camera"), muteSpeaker: part("mute-speaker"),
      announce: part("announce"), list: part("log"),
    };
    this.api = new SessionApi(root.dataset.api ?? "", root.dataset.csrf ?? "");
    this.log = new MessageLog(part("log"), part("raw"), settings.mode);
    this.local = new LocalMedia({ video: part("cameras"), audio: part("microphones") }, this.#constraints());
    this.microphoneMeter = part("microphone-meter") && new LevelMeter(part("microphone-meter"));
    this.speakerMeter = part("speaker-meter") && new LevelMeter(part("speaker-meter"));
    this.player = new Player(part("player"), part("play-sound"), this.speakerMeter);
    this.inputs = part("inputs") && new InputForm(part("inputs"), this.api);
    this.outputs = part("outputs") && new OutputPanels(part("outputs"));
    this.feed = this.outputs && new OutputFeed(this.outputs, (sentence) => this.log.note(sentence));
    this.turns = new TurnControls(part("say"), part("trigger"), this.api, (sentence) => this.log.note(sentence));
    this.chime = new Chime(part("chime"));
    this.timeLimit = new TimeLimit(part("countdown"), settings.timeLimit);
    this.#listen();
    this.#become("idle");
    part("controls").disabled = false; // until now a press would have been lost
  }

  /** What is sent at the moment. @returns {MediaStream | null} */
  get outgoing() {
    return this.local.stream;
  }

  /** What is played at the moment. @returns {MediaStream | null} */
  get incoming() {
    return this.player.stream;
  }

  #constraints() {
    const { trackConstraints: given, modality } = this.settings;
    return "audio" in given || "video" in given ? given : { [modality === "audio" ? "audio" : "video"]: given };
  }

  #listen() {
    const { toggle, muteMicrophone, muteCamera, muteSpeaker, announce, list } = this.parts;
    toggle.addEventListener("click", () => (ACTIVE.has(this.state) ? this.stop() : this.start()));
    muteMicrophone?.addEventListener("click", () => this.local.mute("audio", press(muteMicrophone)));
    muteCamera?.addEventListener("click", () => this.local.mute("video", press(muteCamera)));
    muteSpeaker?.addEventListener("click", () => this.player.mute(press(muteSpeaker)));
    announce.addEventListener("change", () => list.setAttribute("aria-live", announce.checked ? "polite" : "off"));
    this.local.addEventListener("replaced", (event) => this.#replace(/** @type {CustomEvent} */ (event).detail));
    this.local.addEventListener("trouble", (event) => this.#explain(/** @type {CustomEvent} */ (event).detail.message));
    addEventListener("pagehide", () => this.stop());
  }

  async start() {
    const context = (this.#context = new AudioContext());
    this.outputs?.clear();
    try {
      if (this.local.kinds.length) this.#become("asking");
      await this.local.open();
    } catch (error) {
      if (this.#context === context) this.#fail(/** @type {Error} */ (error));
    }
    if (this.#context !== context) return; // stopped, or failed, while the browser was asking
    this.#showOutgoing();
    await this.#connect();
  }

  stop() {
    if (this.client) this.client.close();
    else if (ACTIVE.has(this.state)) this.#finish();
  }

  async #connect() {
    const { modality, mode, rtpParams } = this.settings;
    const incoming = /** @type {("audio" | "video")[]} */ (mode === "send" ? [] : modality.split("-"));
    const client = (this.client = new RtcClient(this.api, { outgoing: this.outgoing, incoming, rtpParams }));
    client.addEventListener("state", (event) => this.#follow(/** @type {CustomEvent} */ (event).detail));
    client.addEventListener("answered", () => this.#accompany(client.id ?? ""));
    client.addEventListener("track", (event) => this.player.play(/** @type {CustomEvent} */ (event).detail, this.#context));
    client.addEventListener("message", (event) => this.#receive(/** @type {CustomEvent} */ (event).detail));
    await client.connect();
  }

  /**
   * There is a new session; after a reconnection, another one.
   * @param {string} id
   */
  #accompany(id) {
    this.log.connect();
    this.inputs?.connect(id);
    this.turns.connect(id);
    this.feed?.open(this.api.outputs(id));
    this.timeLimit.start();
  }

  /** @param {import("./rtc-client.js").StateDetail} detail */
  #follow({ state, reason, error }) {
    if (state === "connecting" || state === "reconnecting") this.#become(state);
    if (state === "live") this.#become("listening");
    if (state === "closed") error ? this.#fail(error) : this.#finish(reason);
  }

  /** @param {{type: string, data?: unknown}} message */
  #receive(message) {
    this.log.message(message);
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
    const next = nextState(this.state, message);
    if (next !== this.state) this.#become(next);
    if (message.type === "stopword") this.chime.play(this.#context);
    if (message.type === "send_input") this.inputs?.send();
    if (message.type === "error") this.parts.hint.textContent = String(message.data);
    if (message.type === "warning") this.#warn(String(message.data));
  }

  /** @param {MediaStreamTrack} track of a device that was chosen during the session */
  async #replace(track) {
    this.#showOutgoing();
    await this.client?.replace(track);
  }

  #showOutgoing() {
    const { preview } = this.parts;
    if (preview && preview.srcObject !== this.outgoing) preview.srcObject = this.outgoing;
    if (this.#context && this.outgoing?.getAudioTracks().length) this.microphoneMeter?.attach(this.#context, this.outgoing);
  }

  #release() {
    this.local.close();
    this.player.stop();
    this.client = null;
    if (this.parts.preview) this.parts.preview.srcObject = null;
    this.inputs?.disconnect();
    this.turns.disconnect();
    this.feed?.finish();
    this.timeLimit.stop();
    this.microphoneMeter?.detach();
    this.#context?.close();
    this.#context = null;
  }

  /** @param {Error & {code?: string, stage?: string, id?: string}} error */
  #fail(error) {
    this.#release();
    this.#become("error");
    this.root.dataset.error = error.code ?? error.name;
    this.root.dataset.stage = error.stage ?? "";
    if (error.stage) this.#advise(error.stage, error.id ?? "");
    this.parts.signIn.hidden = error.code !== "login_required";
    this.#explain(error.message);
  }

  /**
   * Whoever may read the sessions' records is told more.
   * @param {string} stage
   * @param {string} id
   */
  #advise(stage, id) {
    const { records } = this.settings;
    if (!records) return;
    this.parts.advice.textContent = `For administrators: ${records.advice[stage] ?? ""}`;
    this.parts.record.href = `${records.url}?q=${encodeURIComponent(id)}`;
    this.parts.record.hidden = this.parts.advice.hidden = false;
  }

  /** @param {string} [reason] */
  #finish(reason) {
    this.#release();
    this.#become("ended");
    if (reason) this.parts.hint.textContent = reason;
  }

  /** @param {import("./states.js").StateName} state */
  #become(state) {
    const worthANote = state !== "idle" && state !== "error" && !(LIVE.has(this.state) && LIVE.has(state));
    this.state = state;
    const { words, hint } = this.words[state];
    const { toggle, toggleLabel, signIn, record, advice } = this.parts;
    this.root.dataset.state = state;
    delete this.root.dataset.error;
    delete this.root.dataset.stage;
    signIn.hidden = true;
    if (record) record.hidden = advice.hidden = true;
    this.parts.words.textContent = words;
    this.parts.hint.textContent = hint;
    toggleLabel.textContent = ACTIVE.has(state) ? "Stop" : "Start";
    toggle.dataset.active = String(ACTIVE.has(state));
    this.turns.enable(LIVE.has(state));
    if (worthANote) this.log.note(state === "listening" ? "Connected" : words);
    clearInterval(this.#slow);
    if (state === "connecting") this.#slow = setInterval(() => this.#explainDelay(), SLOW_CONNECT_MS);
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }

  /** @param {string} sentence */
  #warn(sentence) {
    const { notice } = this.parts;
    this.timeLimit.warned();
    notice.textContent = sentence;
    notice.hidden = false;
    clearTimeout(this.#noticed);
    this.#noticed = setTimeout(() => (notice.hidden = true), NOTICE_MS);
  }

  #explainDelay() {
    const words = slowWords(this.client?.stage ?? "signalling");
    if (this.parts.hint.textContent !== words) this.parts.hint.textContent = words;
  }

  /** @param {string} sentence */
  #explain(sentence) {
    this.parts.hint.textContent = sentence;
    this.log.note(sentence);
  }
}

/**
 * Flips a toggle button.
 * @param {HTMLElement} button
 * @returns {boolean} whether it is pressed now
 */
function press(button) {
  const pressed = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(pressed));
  return pressed;
}

const root = document.querySelector("main[data-api]");
const settings = document.getElementById("stream-settings");
if (root instanceof HTMLElement && settings) {
  /** Public hook for embedding and tests: `state`, `start()`, `stop()`, the two meters, the media streams, `state` and `message` events. */
  Object.assign(window, { streamPage: new StreamPage(root, JSON.parse(settings.textContent ?? "{}")) });
}
