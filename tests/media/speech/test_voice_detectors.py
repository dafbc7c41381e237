"""The voice detectors of this site keep the contract of plug-ins."""

import pytest

from streams.media.speech.conformance import VoiceDetectorContract
from streams.media.speech.engines import load_engine
from streams.media.vad import PauseDetectionModel, SileroVad


class TestSilero(VoiceDetectorContract):
    @pytest.fixture
    def engine(self, silero: SileroVad) -> PauseDetectionModel:
        assert load_engine("vad", "silero") is silero
        return silero
