import wave
from pathlib import Path

import av
import numpy as np
import pytest

from streams.media.recordings import (
    Recording,
    UnreadableRecording,
    Utterance,
    find_recordings,
    read_labels,
    read_recording,
    read_wav,
)
from streams.media.vad import SileroVad
from tests import speech


def write_wav(path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(channels)
        wav.setsampwidth(samples.itemsize)
        wav.setframerate(rate)
        wav.writeframes(samples.tobytes())
    return path


def labels(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    samples = np.arange(-4000, 4000).astype(np.int16)
    rate, read = read_wav(write_wav(tmp_path / "a.wav", samples, 8000))
    assert rate == 8000
    assert read.tolist() == samples.tolist()


def test_channels_and_other_sample_formats_become_mono_int16(tmp_path: Path) -> None:
    stereo = np.stack([np.full(16000, 1000, np.int16), np.full(16000, 3000, np.int16)], axis=1)
    assert read_wav(write_wav(tmp_path / "stereo.wav", stereo))[1].mean() == pytest.approx(2000, abs=2)
    wide = np.full(16000, 1000 << 16, np.int32)
    assert read_wav(write_wav(tmp_path / "wide.wav", wide))[1].mean() == pytest.approx(1000, abs=2)


@pytest.mark.parametrize("content", [b"", b"this is no sound", b"RIFF\0\0\0\0WAVE"])
def test_a_broken_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(UnreadableRecording, match=r"broken\.wav"):
        read_wav(path)


def test_a_film_without_sound_is_named(tmp_path: Path) -> None:
    with av.open(tmp_path / "silent.wav", "w", format="avi") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        film.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        film.mux(stream.encode(None))
    with pytest.raises(UnreadableRecording, match=r"silent\.wav has no sound"):
        read_wav(tmp_path / "silent.wav")


def test_recordings_are_found_in_folders_by_any_spelling(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    for name in ("b.wav", "deeper/A.WAV", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in find_recordings(tmp_path)] == ["b.wav", "A.WAV"]


def test_labels_are_utterances_in_order_of_time(tmp_path: Path) -> None:
    text = "2.5\t3.25\tAnd then?\n0.500000\t1.75\tHello.\n\\\t100.0\t4000.0\n1.9\t1.9\ta mark\n\n"
    found = read_labels(labels(tmp_path / "a.txt", text))
    assert found == (Utterance(0.5, 1.75, "Hello."), Utterance(2.5, 3.25, "And then?"))


def test_labels_need_no_text_and_may_have_decimal_commas(tmp_path: Path) -> None:
    assert read_labels(labels(tmp_path / "a.txt", "\ufeff0,5\t1,75\n")) == (Utterance(0.5, 1.75),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0.5 1.5 spaces\n", "line 1: expected start, end and text"),
        ("0\t1\n2\tsoon\n", "line 2: expected start, end and text"),
        ("2\t1\tbackwards\n", "line 1: a label must end after it begins"),
        ("nan\t1\t\n", "line 1: a label must end after it begins"),
        ("0\t2\tone\n1\t3\ttwo\n", "the labels at 0 s and 1 s overlap"),
    ],
)
def test_wrong_labels_are_named(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableRecording, match=problem) as raised:
        read_labels(labels(tmp_path / "a.txt", text))
    assert str(raised.value).startswith("a.txt")


def test_labels_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe0\x00")
    with pytest.raises(UnreadableRecording, match=r"a\.txt cannot be read"):
        read_labels(tmp_path / "a.txt")


def test_labels_beside_the_recording_are_taken(tmp_path: Path, silero: SileroVad) -> None:
    path = write_wav(tmp_path / "noise.wav", speech.speech(2)[1], speech.RATE)
    labels(tmp_path / "noise.txt", "")
    recording = read_recording(path, "noise", silero)
    assert (recording.utterances, recording.derived) == ((), False)
    assert recording.seconds == pytest.approx(2)


def test_without_labels_silence_tells_the_utterances_apart(tmp_path: Path, silero: SileroVad) -> None:
    parts = [
        speech.silence(1), speech.sentence(1)[1], speech.silence(2), speech.sentence(3)[1],
        speech.silence(0.8), speech.sentence(4)[1], speech.silence(2),
    ]  # fmt: skip
    path = write_wav(tmp_path / "talk.wav", np.concatenate(parts), speech.RATE)
    recording: Recording = read_recording(path, "talk", silero)
    assert recording.derived
    first, second = recording.utterances
    assert 0.9 < first.begin < 1.2
    assert 2.5 < first.end < 3.1
    assert 4.8 < second.begin < 5.1
    assert 8.2 < second.end < 8.9
