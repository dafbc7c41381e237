/** Two short notes that say "heard you", for whom looks elsewhere. Off until asked for; the browser remembers. */

const KEY = "streams.chime";
const NOTES = [660, 880]; // Hz
const SECONDS = 0.09; // each
const LOUDNESS = 0.06; // a microphone beside the loudspeaker hears it too

export class Chime {
  #box;

  /** @param {HTMLInputElement | null} box */
  constructor(box) {
    this.#box = box;
    if (!box) return;
    box.checked = remembered() === "on";
    box.addEventListener("change", () => remember(box.checked ? "on" : "off"));
  }

  /** @param {AudioContext | null} context */
  play(context) {
    if (!context || !this.#box?.checked) return;
    NOTES.forEach((hertz, number) => {
      const start = context.currentTime + number * SECONDS;
      const volume = new GainNode(context, { gain: LOUDNESS });
      volume.gain.setTargetAtTime(0, start + SECONDS / 2, SECONDS / 6); // no click at its end
      const note = new OscillatorNode(context, { frequency: hertz });
      note.connect(volume).connect(context.destination);
      note.start(start);
      note.stop(start + 2 * SECONDS);
    });
  }
}

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage is blocked
  }
}

/** @param {string} choice */
function remember(choice) {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // It holds until the page is left.
  }
}
