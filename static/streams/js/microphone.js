/** The visitor's microphone: opening it, listing them, remembering the choice, and its failures in words. */

const STORAGE_KEY = "streams.microphone";

/** @type {Record<string, [code: string, words: string]>} by DOMException name */
const FAILURES = {
  NotAllowedError: [
    "permission_denied",
    "The microphone is blocked. Allow it for this site in your browser (usually beside the address), then press Start.",
  ],
  NotFoundError: ["no_microphone", "No microphone was found. Connect one, then press Start."],
  NotReadableError: ["microphone_busy", "The microphone can't be opened. Another program may be using it."],
};

export class MicrophoneError extends Error {
  /**
   * @param {string} code
   * @param {string} words
   */
  constructor(code, words) {
    super(words);
    this.name = "MicrophoneError";
    this.code = code;
  }
}

/**
 * @param {string} deviceId empty for the browser's default
 * @returns {Promise<MediaStream>}
 */
export async function openMicrophone(deviceId) {
  if (!navigator.mediaDevices) {
    throw new MicrophoneError("insecure_page", "Browsers allow the microphone on secure pages only. Open this page with https://.");
  }
  const audio = {
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
    // Not "ideal": Chromium then keeps the default microphone.
    ...(deviceId && { deviceId: { exact: deviceId } }),
  };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const { name, message } = /** @type {DOMException} */ (error);
    if (name === "OverconstrainedError" && deviceId) return openMicrophone(""); // the remembered one is gone
    throw new MicrophoneError(...(FAILURES[name] ?? ["microphone_failed", `The microphone can't be used: ${message}`]));
  }
}

/** Labels and ids are empty until permission was given. @returns {Promise<MediaDeviceInfo[]>} */
export async function listMicrophones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter((device) => device.kind === "audioinput" && device.deviceId);
}

/** @returns {string} */
export function rememberedMicrophone() {
  try {
    return localStorage.getItem(STORAGE_KEY) ?? "";
  } catch {
    return ""; // storage is blocked: the choice lasts as long as the page
  }
}

/** @param {string} deviceId */
export function rememberMicrophone(deviceId) {
  try {
    localStorage.setItem(STORAGE_KEY, deviceId);
  } catch {
    // storage is blocked, see above
  }
}
