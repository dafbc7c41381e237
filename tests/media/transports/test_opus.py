import av
import numpy as np
import pytest

from streams.media.audio import Samples
from streams.media.transports.opus import ENCODER_RATES, FRAME_TICKS, SILENCE, OpusDecoder, OpusEncoder
from tests import speech


def tone(seconds: float, rate: int, level: int = 8000, pitch: float = 440.0) -> Samples:
    return (level * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def there_and_back(samples: Samples, rate: int) -> tuple[Samples, list[bytes]]:
    encoder, decoder = OpusEncoder(rate), OpusDecoder()
    size = rate // 50
    packets = [encoder.encode(samples[first : first + size]) for first in range(0, samples.size - size + 1, size)]
    return np.concatenate([decoder.decode(packet) for packet in packets]), packets


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


@pytest.mark.parametrize("rate", ENCODER_RATES)
def test_a_tone_comes_back_as_loud_as_it_was_and_as_long(rate: int) -> None:
    heard, packets = there_and_back(tone(2, rate), rate)
    assert len(packets) == 100
    assert all(packets)
    assert heard.size == 100 * FRAME_TICKS
    assert rms(heard[9600:-9600]) == pytest.approx(rms(tone(2, rate)), rel=0.1)


@pytest.mark.parametrize("rate", ENCODER_RATES)
def test_a_tone_comes_back_clean(rate: int) -> None:
    heard = there_and_back(tone(2, rate), rate)[0][24000:72000].astype(float)
    spectrum = np.abs(np.fft.rfft(heard)) ** 2  # 1 Hz per line
    signal = spectrum[430:451].sum()
    assert 10 * np.log10(signal / (spectrum.sum() - signal)) > 20


def test_speech_comes_back() -> None:
    rate, voice = speech.speech(4)
    heard = there_and_back(voice, rate)[0][312::2].astype(float)  # 6.5 ms: what Opus looks ahead
    spoken = voice[: heard.size].astype(float)
    envelope = [np.sqrt(np.convolve(signal**2, np.ones(480), "same"))[::480] for signal in (spoken, heard)]
    assert np.corrcoef(np.array(envelope))[0, 1] > 0.97


def test_packets_are_small() -> None:
    rate, voice = speech.speech(4)
    packets = there_and_back(voice, rate)[1]
    assert sum(map(len, packets)) * 8 / 4 < 40_000


def test_the_silence_packet_is_silent_and_20_ms_long() -> None:
    decoder = OpusDecoder()
    for _ in range(20):
        samples = decoder.decode(SILENCE)
        assert samples.size == FRAME_TICKS
    assert int(np.abs(samples).max()) == 0


def test_silence_after_speech_fades_at_once() -> None:
    decoder, encoder = OpusDecoder(), OpusEncoder(24000)
    for frame in tone(0.4, 24000).reshape(-1, 480):
        decoder.decode(encoder.encode(frame))
    after = [int(np.abs(decoder.decode(SILENCE)).max()) for _ in range(5)]
    assert after[-1] < 10


def test_a_stereo_sender_is_heard_in_mono() -> None:
    codec = av.CodecContext.create("libopus", "w")
    codec.format, codec.layout, codec.sample_rate = "s16", "stereo", 48000
    decoder, heard = OpusDecoder(), []
    left = tone(0.4, 48000)
    for first in range(0, left.size, 960):
        both = np.repeat(left[first : first + 960], 2)[None, :]
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate = 48000
        heard += [decoder.decode(bytes(packet)) for packet in codec.encode(frame)]
    samples = np.concatenate(heard)
    assert samples.ndim == 1
    assert samples.size % 960 == 0
    assert rms(samples[9600:]) == pytest.approx(rms(left), rel=0.15)


@pytest.mark.parametrize("payload", [b"\xff" * 3, b"\x03", b"\x03\x3f" + b"\0" * 5])
def test_garbage_is_an_error_and_does_not_spoil_what_follows(payload: bytes) -> None:
    decoder, encoder = OpusDecoder(), OpusEncoder(48000)
    with pytest.raises(av.FFmpegError):
        decoder.decode(payload)
    heard = [decoder.decode(encoder.encode(frame)) for frame in tone(0.4, 48000).reshape(-1, 960)]
    assert rms(np.concatenate(heard)[9600:]) > 4000


def test_loud_audio_is_not_wrapped() -> None:
    heard, _ = there_and_back(tone(1, 48000, level=32767), 48000)
    steps = np.abs(np.diff(heard.astype(int)))
    assert int(steps.max()) < 10_000
