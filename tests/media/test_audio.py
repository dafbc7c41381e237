from itertools import cycle, pairwise

import numpy as np
import numpy.typing as npt
import pytest

from streams.media.audio import (
    Chunker,
    FrameResampler,
    Resampler,
    Samples,
    audio_to_float32,
    audio_to_int16,
    resample,
    streaming_resampler,
    to_mono,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, 0), (1.0, 32767), (-1.0, -32767), (0.5, 16384), (1.5, 32767), (-1.5, -32768), (1e9, 32767), (-1e9, -32768)],
)
def test_float_becomes_int16_and_is_clipped_never_wrapped(dtype: npt.DTypeLike, value: float, expected: int) -> None:
    converted = audio_to_int16(np.array([value], dtype))
    assert converted.dtype == np.int16
    assert converted.tolist() == [expected]


def test_int16_passes_unchanged() -> None:
    samples = np.array([-32768, -1, 0, 1, 32767], np.int16)
    assert audio_to_int16(samples).tolist() == samples.tolist()


def test_int16_becomes_float_within_one() -> None:
    converted = audio_to_float32(np.array([-32768, 0, 16384, 32767], np.int16))
    assert converted.dtype == np.float32
    assert converted.tolist() == [-1.0, 0.0, 0.5, pytest.approx(32767 / 32768)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_pass_as_float32(dtype: npt.DTypeLike) -> None:
    converted = audio_to_float32(np.array([-0.25, 0.25], dtype))
    assert converted.dtype == np.float32
    assert converted.tolist() == [-0.25, 0.25]


def test_there_and_back_is_off_by_one_at_most() -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    back = audio_to_int16(audio_to_float32(samples))
    assert int(np.abs(back.astype(int) - samples).max()) <= 1


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, np.uint16, np.bool_])
@pytest.mark.parametrize("convert", [audio_to_int16, audio_to_float32, to_mono])
def test_other_types_are_refused(convert: object, dtype: npt.DTypeLike) -> None:
    assert callable(convert)
    with pytest.raises(TypeError, match=r"^Unsupported audio data type"):
        convert(np.zeros(4, dtype))


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_nothing_stays_nothing(dtype: npt.DTypeLike) -> None:
    nothing: npt.NDArray[np.generic] = np.zeros(0, dtype)
    assert audio_to_int16(nothing).shape == (0,)
    assert audio_to_float32(nothing).shape == (0,)
    assert to_mono(nothing).shape == (0,)
    assert to_mono(nothing[None, :]).shape == (0,)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([1, 2, 3], np.int16), [1, 2, 3]),
        (np.array([[1, 2, 3]], np.int16), [1, 2, 3]),
        (np.array([[100, 200], [300, 400]], np.int16), [200, 300]),
        (np.array([[32767, -32768], [32767, -32768]], np.int16), [32767, -32768]),
        (np.array([[0.5, 2.0]], np.float32), [16384, 32767]),
    ],
)
def test_to_mono(array: npt.NDArray[np.generic], expected: list[int]) -> None:
    mono = to_mono(array)
    assert mono.dtype == np.int16
    assert mono.tolist() == expected


@pytest.mark.parametrize("shape", [(), (480, 2), (1, 2, 480), (9, 3)])
def test_arrays_that_are_no_audio_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"Audio has shape .* Use \(n,\)"):
        to_mono(np.zeros(shape, np.int16))


# -- resampling


TONES = [(300, 0.2), (710, 0.15), (1330, 0.1), (2600, 0.05)]


def tones(seconds: float, rate: int, late: float = 0) -> npt.NDArray[np.float64]:
    moments = np.arange(round(seconds * rate)) / rate - late
    return 32767 * sum((level * np.sin(2 * np.pi * pitch * moments) for pitch, level in TONES), np.zeros(moments.size))


def in_chunks(samples: Samples, source_rate: int, target_rate: int, seconds: float) -> Samples:
    resampler = Resampler(source_rate, target_rate)
    cuts = [round(i * seconds * source_rate) for i in range(int(samples.size / source_rate / seconds) + 2)]
    return np.concatenate([*(resampler.push(samples[a:b]) for a, b in pairwise(cuts)), resampler.flush()])


def snr(samples: Samples, ideal: npt.NDArray[np.float64]) -> float:
    """In dB, away from the ends, at the best alignment."""
    middle = slice(2000, min(samples.size, ideal.size) - 2000)

    def at(lag: int) -> float:
        noise = np.roll(samples, lag)[middle] - ideal[middle]
        return float(10 * np.log10(np.mean(ideal[middle] ** 2) / np.mean(noise**2)))

    return max(at(lag) for lag in range(-24, 25))


@pytest.mark.parametrize("chunk", [0.02, 0.01, 0.0317])
def test_chunks_join_without_clicks(chunk: float) -> None:
    original = tones(2, 24000).astype(np.int16)
    whole = resample(resample(original, 24000, 8000), 8000, 48000)
    chunked = in_chunks(in_chunks(original, 24000, 8000, chunk), 8000, 48000, chunk)
    ideal = tones(2, 48000)
    assert snr(whole, ideal) > 30
    assert snr(chunked, ideal) > snr(whole, ideal) - 1


@pytest.mark.parametrize("target_rate", [8000, 16000, 24000, 44100, 48000])
@pytest.mark.parametrize("source_rate", [8000, 16000, 44100, 48000])
def test_resampling_keeps_the_duration(source_rate: int, target_rate: int) -> None:
    samples = tones(1, source_rate).astype(np.int16)
    assert in_chunks(samples, source_rate, target_rate, 0.02).size == pytest.approx(target_rate, abs=target_rate / 500)


def test_the_same_rate_is_left_alone() -> None:
    samples = tones(0.1, 48000).astype(np.int16)
    resampler = Resampler(48000, 48000)
    assert resampler.push(samples).tolist() == samples.tolist()
    assert resampler.flush().size == 0


def test_resampling_holds_little_back() -> None:
    resampler = Resampler(48000, 16000)
    came = sum(resampler.push(np.ones(960, np.int16)).size for _ in range(50))
    assert came > 16000 - 160


def test_resampling_loud_audio_does_not_wrap() -> None:
    square = np.repeat(np.array([32767, -32768] * 200, np.int16), 40)
    output = resample(square, 24000, 48000).astype(int)
    wanted = np.repeat(square, 2)[: output.size].astype(int)
    middles = slice(40, None, 80)  # of the plateaus
    assert (np.sign(output[middles]) == np.sign(wanted[middles])).all()


PAIRS = [(8000, 48000), (48000, 8000), (24000, 8000), (16000, 48000), (48000, 24000), (8000, 16000)]


def test_whole_factors_go_frame_by_frame() -> None:
    assert all(isinstance(streaming_resampler(*pair), FrameResampler) for pair in PAIRS)
    assert isinstance(streaming_resampler(44100, 8000), Resampler)
    assert isinstance(streaming_resampler(16000, 24000), Resampler)
    assert isinstance(streaming_resampler(8000, 8000), Resampler)


def lateness(source_rate: int, target_rate: int) -> float:
    """Seconds: half the filter. What is made of several samples is made when the last of them has come."""
    half = FrameResampler.LOBES / 2
    if target_rate > source_rate:
        return half / source_rate - 0.5 / target_rate
    return (half - 1) / target_rate + 0.5 / source_rate


@pytest.mark.parametrize(("source_rate", "target_rate"), PAIRS)
@pytest.mark.parametrize("sizes", [[1], [0.5, 1.7, 0.3, 0, 4.4], [0.01]])
def test_frames_join_without_clicks(source_rate: int, target_rate: int, sizes: list[float]) -> None:
    """``sizes``: of the chunks, in frames, again and again."""
    original, rest = tones(1, source_rate).astype(np.int16), cycle(sizes)
    resampler, parts, at = FrameResampler(source_rate, target_rate), [], 0
    while at < original.size:
        size = round(next(rest) * source_rate / 50)
        parts.append(resampler.push(original[at : at + size]))
        at += size
    heard = np.concatenate([*parts, resampler.flush()])
    low = min(source_rate, target_rate)
    late = lateness(source_rate, target_rate)
    assert heard.size == pytest.approx(target_rate * (1 + late), abs=2 * FrameResampler.BLOCK * target_rate / low)
    ideal = tones(1, target_rate, late)
    middle = slice(target_rate // 20, None)
    noise = heard[:target_rate][middle] - ideal[middle]
    assert 10 * np.log10(np.mean(ideal[middle] ** 2) / np.mean(noise**2)) > 55


@pytest.mark.parametrize(("source_rate", "target_rate"), PAIRS)
def test_a_frame_in_is_a_frame_out(source_rate: int, target_rate: int) -> None:
    resampler = FrameResampler(source_rate, target_rate)
    assert {resampler.push(np.zeros(source_rate // 50, np.int16)).size for _ in range(5)} == {target_rate // 50}


def test_a_long_reply_is_resampled_as_its_frames_are() -> None:
    reply = tones(2.5, 24000).astype(np.int16)
    frames, whole = FrameResampler(24000, 8000), FrameResampler(24000, 8000)
    expected = np.concatenate([frames.push(reply[at : at + 480]) for at in range(0, reply.size, 480)])
    assert np.abs(whole.push(reply).astype(int) - expected).max() <= 1


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    moments = np.arange(48000) / 48000
    shrill = (20000 * np.sin(2 * np.pi * 5000 * moments)).astype(np.int16)
    assert np.abs(FrameResampler(48000, 8000).push(shrill)[100:]).max() < 20
    assert np.abs(FrameResampler(8000, 48000).push(np.full(8000, 10000, np.int16))[300:] - 10000).max() < 20


def test_loud_frames_do_not_wrap() -> None:
    square = np.repeat(np.array([32767, -32768] * 100, np.int16), 80)
    for source_rate, target_rate in ((8000, 48000), (48000, 24000)):
        output = FrameResampler(source_rate, target_rate).push(square).astype(int)
        late = round(lateness(source_rate, target_rate) * target_rate)
        wanted = square[(np.arange(output.size - late) * source_rate / target_rate).astype(int)].astype(int)
        sure = np.abs(np.convolve(np.sign(wanted), np.ones(9), "same")) == 9
        assert (np.sign(output[late:]) == np.sign(wanted))[sure].all()


# -- chunks


def test_chunks_have_the_exact_size_and_order() -> None:
    chunker, taken = Chunker(), []
    samples = np.arange(10000).astype(np.int16)
    for start, size in zip(range(0, 10000, 100), [100] * 100, strict=True):
        chunker.push(samples[start : start + size])
        while (chunk := chunker.take(333)) is not None:
            assert chunk.size == 333
            taken.append(chunk)
    assert len(chunker) == 10000 % 333
    assert np.concatenate(taken).tolist() == samples[: len(taken) * 333].tolist()


def test_a_chunk_of_exactly_what_is_there() -> None:
    chunker = Chunker()
    assert chunker.take(1) is None
    chunker.push(np.array([1, 2], np.int16))
    assert chunker.take(3) is None
    assert (chunk := chunker.take(2)) is not None and chunk.tolist() == [1, 2]
    assert len(chunker) == 0
