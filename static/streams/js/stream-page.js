/** Wires the page of one stream: buttons, microphone, sound, meters, words. */

import { LevelMeter } from "./level-meter.js";
import { MessageLog } from "./message-log.js";
import { listMicrophones, openMicrophone, rememberedMicrophone, rememberMicrophone } from "./microphone.js";
import { RtcClient } from "./rtc-client.js";
import { SessionApi } from "./session-api.js";
import { ACTIVE, LIVE, nextState, STATES } from "./states.js";

const SLOW_CONNECT_MS = 5_000;
const SLOW_CONNECT = "Taking longer than usual to connect… A VPN or a firewall may be in the way.";

export class StreamPage extends EventTarget {
  /** @type {import("./states.js").StateName} */
  state = "idle";
  /** @type {RtcClient | null} */
  client = null;
  /** @type {MediaStream | null} */
  microphone = null;
  /** @type {MediaStream | null} */
  incoming = null;
  /** @type {AudioContext | null} */
  #context = null;
  #slow = 0;

  /** @param {HTMLElement} root an element with the data-… attributes of stream.html */
  constructor(root) {
    super();
    /** @type {(name: string) => any} */
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.root = root;
    this.api = new SessionApi(root.dataset.api ?? "", root.dataset.csrf ?? "");
    this.log = new MessageLog(part("log"), part("raw"));
    this.microphoneMeter = new LevelMeter(part("microphone-meter"));
    this.speakerMeter = new LevelMeter(part("speaker-meter"));
    this.parts = {
      words: part("words"), hint: part("hint"), signIn: part("sign-in"), playSound: part("play-sound"),
      toggle: part("toggle"), toggleLabel: part("toggle-label"), devices: part("devices"), audio: part("audio"),
      muteMicrophone: part("mute-microphone"), muteSpeaker: part("mute-speaker"), announce: part("announce"), list: part("log"),
    };
    this.#listen();
    this.#become("idle");
    part("controls").disabled = false; // until now a press would have been lost
  }

  #listen() {
    const { toggle, devices, audio, muteMicrophone, muteSpeaker, playSound, announce, list } = this.parts;
    toggle.addEventListener("click", () => (ACTIVE.has(this.state) ? this.stop() : this.start()));
    devices.addEventListener("change", () => this.#changeMicrophone(devices.value));
    muteMicrophone.addEventListener("click", () => this.#applyMute(press(muteMicrophone)));
    muteSpeaker.addEventListener("click", () => (audio.muted = press(muteSpeaker)));
    playSound.addEventListener("click", () => this.#playSound());
    announce.addEventListener("change", () => list.setAttribute("aria-live", announce.checked ? "polite" : "off"));
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#showMicrophones());
    addEventListener("pagehide", () => this.stop());
    this.#showMicrophones();
  }

  async start() {
    const context = (this.#context = new AudioContext());
    try {
      if (this.root.dataset.mode !== "receive") await this.#useMicrophone(context, rememberedMicrophone());
    } catch (error) {
      if (this.#context === context) this.#fail(/** @type {Error} */ (error));
    }
    if (this.#context === context) await this.#connect();
  }

  stop() {
    if (this.client) this.client.close();
    else if (ACTIVE.has(this.state)) this.#finish();
  }

  async #connect() {
    const client = (this.client = new RtcClient(this.api, this.microphone));
    client.addEventListener("state", (event) => this.#follow(/** @type {CustomEvent} */ (event).detail));
    client.addEventListener("track", (event) => this.#play(/** @type {CustomEvent} */ (event).detail));
    client.addEventListener("message", (event) => this.#receive(/** @type {CustomEvent} */ (event).detail));
    await client.connect();
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
    if (message.type === "error" || message.type === "warning") this.parts.hint.textContent = String(message.data);
  }

  /**
   * @param {AudioContext} context of the session it is for
   * @param {string} deviceId
   */
  async #useMicrophone(context, deviceId) {
    const before = this.microphone;
    if (!before) this.#become("asking");
    const stream = await openMicrophone(deviceId);
    const [track] = stream.getAudioTracks();
    if (this.#context !== context) return track.stop(); // stopped while the browser was asking
    track.addEventListener("ended", () => this.microphone === stream && this.#changeMicrophone("")); // unplugged
    this.microphone = stream;
    this.#applyMute(this.parts.muteMicrophone.getAttribute("aria-pressed") === "true");
    this.microphoneMeter.attach(context, stream);
    await this.client?.replaceMicrophone(stream);
    before?.getTracks().forEach((old) => old.stop());
    await this.#showMicrophones();
  }

  /** @param {string} deviceId */
  async #changeMicrophone(deviceId) {
    rememberMicrophone(deviceId);
    if (!this.#context || !this.microphone) return;
    try {
      await this.#useMicrophone(this.#context, deviceId);
    } catch (error) {
      this.#explain(/** @type {Error} */ (error).message);
    }
  }

  async #showMicrophones() {
    const { devices } = this.parts;
    const options = (await listMicrophones()).map(({ label, deviceId }) => new Option(label, deviceId));
    if (options.length) devices.replaceChildren(...options);
    const current = this.microphone?.getAudioTracks()[0].getSettings().deviceId ?? rememberedMicrophone();
    if (options.some(({ value }) => value === current)) devices.value = current;
  }

  /** @param {boolean} muted */
  #applyMute(muted) {
    this.microphone?.getAudioTracks().forEach((track) => (track.enabled = !muted));
  }

  /** @param {MediaStream} stream */
  #play(stream) {
    this.incoming = stream;
    this.parts.audio.srcObject = stream;
    if (this.#context) this.speakerMeter.attach(this.#context, stream);
    this.#playSound();
  }

  async #playSound() {
    const { audio, playSound } = this.parts;
    this.#context?.resume();
    try {
      await audio.play();
      playSound.hidden = true;
    } catch (error) {
      // Any other failure is our own doing: the sound was replaced or stopped.
      playSound.hidden = /** @type {DOMException} */ (error).name !== "NotAllowedError";
    }
  }

  #release() {
    this.microphone?.getTracks().forEach((track) => track.stop());
    this.client = this.microphone = this.incoming = this.parts.audio.srcObject = null;
    this.parts.playSound.hidden = true;
    this.microphoneMeter.detach();
    this.speakerMeter.detach();
    this.#context?.close();
    this.#context = null;
  }

  /** @param {Error & {code?: string}} error */
  #fail(error) {
    this.#release();
    this.#become("error");
    this.root.dataset.error = error.code ?? error.name;
    this.parts.signIn.hidden = error.code !== "login_required";
    this.#explain(error.message);
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
    const { words, hint } = STATES[state];
    const { toggle, toggleLabel, signIn } = this.parts;
    this.root.dataset.state = state;
    delete this.root.dataset.error;
    signIn.hidden = true;
    this.parts.words.textContent = words;
    this.parts.hint.textContent = hint;
    toggleLabel.textContent = ACTIVE.has(state) ? "Stop" : "Start";
    toggle.dataset.active = String(ACTIVE.has(state));
    if (worthANote) this.log.note(state === "listening" ? "Connected" : words);
    clearTimeout(this.#slow);
    if (state === "connecting") this.#slow = setTimeout(() => (this.parts.hint.textContent = SLOW_CONNECT), SLOW_CONNECT_MS);
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
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
if (root instanceof HTMLElement) {
  /** Public hook for embedding and tests: `state`, `start()`, `stop()`, the two meters, the media streams, `state` and `message` events. */
  Object.assign(window, { streamPage: new StreamPage(root) });
}
