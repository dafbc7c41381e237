/** The visitor's microphone and camera: opening, listing, remembering the choice, and their failures in words. */

/** @typedef {"audio" | "video"} Kind */

/** @type {Record<Kind, MediaTrackConstraints>} */
const DEFAULTS = {
  audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } },
};

/** @type {Record<Kind, string>} */
const NAMES = { audio: "microphone", video: "camera" };

export class DeviceError extends Error {
  /**
   * @param {string} code
   * @param {string} words
   */
  constructor(code, words) {
    super(words);
    this.name = "DeviceError";
    this.code = code;
  }
}

/**
 * Asks for all the devices at once, so that the browser asks the visitor once.
 * @param {Kind[]} kinds
 * @param {Partial<Record<Kind, MediaTrackConstraints>>} constraints of the stream, over our defaults
 * @param {boolean} [remembered] whether to want the remembered devices
 * @returns {Promise<MediaStream>}
 */
export async function openDevices(kinds, constraints, remembered = true) {
  if (!navigator.mediaDevices) {
    throw new DeviceError("insecure_page", `Browsers allow the ${named(kinds)} on secure pages only. Open this page with https://.`);
  }
  const chosen = kinds.filter((kind) => remembered && rememberedDevice(kind));
  // Not "ideal": Chromium then keeps the default device.
  const asked = kinds.map((kind) => [
    kind,
    { ...DEFAULTS[kind], ...constraints[kind], ...(chosen.includes(kind) && { deviceId: { exact: rememberedDevice(kind) } }) },
  ]);
  try {
    return await navigator.mediaDevices.getUserMedia(Object.fromEntries(asked));
  } catch (error) {
    const failure = /** @type {DOMException} */ (error);
    // The remembered one may be gone.
    const gone = chosen.length && ["OverconstrainedError", "NotFoundError"].includes(failure.name);
    if (gone) return openDevices(kinds, constraints, false);
    throw await explained(failure, kinds);
  }
}

/**
 * @param {DOMException & {constraint?: string}} failure
 * @param {Kind[]} kinds
 */
async function explained({ name, message, constraint }, kinds) {
  const them = named(kinds, "or");
  switch (name) {
    case "NotAllowedError":
      return new DeviceError(
        "permission_denied",
        `The ${them} is blocked. Allow ${kinds.length > 1 ? "both" : "it"} for this site in your browser (usually beside the address), then press Start.`,
      );
    case "NotFoundError": {
      const found = new Set((await navigator.mediaDevices.enumerateDevices()).map(({ kind }) => kind));
      const missing = kinds.filter((kind) => !found.has(`${kind}input`));
      const which = missing.length ? missing : kinds;
      return new DeviceError(`no_${NAMES[which[0]]}`, `No ${named(which, "or")} was found. Connect one, then press Start.`);
    }
    case "NotReadableError":
      return new DeviceError(`${NAMES[kinds[0]]}_busy`, `The ${them} can't be opened. Another program may be using it.`);
    case "OverconstrainedError":
      return new DeviceError("unsuitable_device", `This stream asks for what your ${them} can't do (${constraint}).`);
  }
  return new DeviceError(`${NAMES[kinds[0]]}_failed`, `The ${them} can't be used: ${message}`);
}

/**
 * @param {Kind[]} kinds
 * @param {string} [conjunction]
 */
function named(kinds, conjunction = "and") {
  return kinds.map((kind) => NAMES[kind]).sort().join(` ${conjunction} `);
}

/**
 * Labels and ids are empty until permission was given.
 * @param {Kind} kind
 * @returns {Promise<MediaDeviceInfo[]>}
 */
export async function listDevices(kind) {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter((device) => device.kind === `${kind}input` && device.deviceId);
}

/**
 * @param {Kind} kind
 * @returns {string} a device id; empty for the browser's default
 */
export function rememberedDevice(kind) {
  try {
    return localStorage.getItem(`streams.${NAMES[kind]}`) ?? "";
  } catch {
    return ""; // storage is blocked: the choice lasts as long as the page
  }
}

/**
 * @param {Kind} kind
 * @param {string} deviceId
 */
export function rememberDevice(kind, deviceId) {
  try {
    localStorage.setItem(`streams.${NAMES[kind]}`, deviceId);
  } catch {
    // storage is blocked, see above
  }
}
