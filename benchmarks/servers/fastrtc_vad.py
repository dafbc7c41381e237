"""FastRTC's voice detector alone, as ReplyOnPause asks it: 0.6 s at a time, afresh. Runs in FastRTC's environment:

python -m benchmarks.servers.fastrtc_vad SILERO_ONNX FILE LISTENERS

FILE is int16 at 48 kHz. Prints milliseconds of CPU per listener and second.
"""

import sys
import time

import fastrtc.pause_detection.silero as silero
import numpy as np

RATE = 48000
BLOCK = RATE * 6 // 10


def run(weights: str, file: str, count: int) -> float:
    silero.SileroVADModel.download_model = staticmethod(lambda: weights)
    model = silero.SileroVADModel()
    samples = np.fromfile(file, np.int16)
    blocks = [samples[place : place + BLOCK] for place in range(0, samples.size - BLOCK + 1, BLOCK)]
    model.vad((RATE, blocks[0]), None)  # warm up
    started = time.process_time()
    for block in blocks:
        for _ in range(count):
            model.vad((RATE, block), None)
    return (time.process_time() - started) / count / (len(blocks) * BLOCK / RATE) * 1000


if __name__ == "__main__":
    print(run(sys.argv[1], sys.argv[2], int(sys.argv[3])))
