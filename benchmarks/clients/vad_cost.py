"""What the voice detector alone costs, in a process that does nothing else.

python -m benchmarks.clients.vad_cost FILE LISTENERS

FILE is int16 at 48 kHz, a whole number of seconds. Prints milliseconds of CPU per listener and second.
"""

import sys
import time

import numpy as np

from streams.media.vad import SpeechProbability, get_silero_model

RATE = 48000
FRAME = 960


def run(file: str, count: int) -> float:
    """Everybody gets each 20 ms in turn, as in a server, and not one listener's whole sound after the other's."""
    samples = np.fromfile(file, np.int16)
    listeners = [SpeechProbability(get_silero_model(), RATE) for _ in range(count)]
    for listener in listeners:
        list(listener.push(samples[:RATE]))  # warm up
    started = time.process_time()
    for place in range(0, samples.size, FRAME):
        frame = samples[place : place + FRAME]
        for listener in listeners:
            list(listener.push(frame))
    return (time.process_time() - started) / count / (samples.size / RATE) * 1000


if __name__ == "__main__":
    print(run(sys.argv[1], int(sys.argv[2])))
