"""Write the labelled recordings as NAME.wav and NAME.txt: ``python -m benchmarks.recordings DIR [--split report]``."""

import argparse
import wave
from pathlib import Path

from benchmarks.recordings import Recording, load


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recordings", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--split", choices=["tune", "report", "all"], default="all")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    recordings = load(options.split)
    for recording in recordings:
        write(recording, options.directory)
    seconds = sum(recording.seconds for recording in recordings)
    print(f"{len(recordings)} recordings, {seconds:.0f} s, in {options.directory}")


def write(recording: Recording, directory: Path) -> None:
    with wave.open(str(directory / f"{recording.name}.wav"), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(recording.rate)
        wav.writeframes(recording.samples.tobytes())
    lines = [f"{start:.3f}\t{end:.3f}\t{text}\n" for start, end, text in recording.utterances]
    (directory / f"{recording.name}.txt").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
