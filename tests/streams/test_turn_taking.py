"""What an administrator may change of a ReplyOnPause: the form's words, and that bad values break nothing."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, Self

import pytest

from streams.media import AlgoOptions, InterruptionOptions, ReplyOnPause, SileroVadOptions, weights
from streams.turn_taking import TurnTakingForm, usable

EVERYTHING = {
    "end_of_utterance": "silence",
    "shortest_wait": 0.2,
    "longest_wait": 1.5,
    "voice_detector": "silero",
    "threshold": 0.7,
    "audio_chunk_duration": 0.9,
    "started_talking_threshold": 0.3,
    "speech_threshold": 0.2,
    "max_continuous_speech_s": 30.0,
    "pre_roll": 0.5,
    "can_interrupt": False,
    "interruption_threshold": 0.15,
    "min_speech": 0.4,
    "min_words": 2,
    "rejoin": True,
}


def reply(audio: Any) -> Any:
    return audio


def handler(**fields: Any) -> ReplyOnPause:
    return ReplyOnPause(reply, **fields)


def problems(values: dict[str, Any], **fields: Any) -> dict[str, list[str]]:
    errors = TurnTakingForm(handler(**fields), values).errors
    return {name: [str(problem) for problem in found] for name, found in errors.items()}


def settings_of(handler: ReplyOnPause) -> tuple[Any, ...]:
    return handler.algo_options, handler.interruption, handler.model_options, handler.can_interrupt


def test_every_value_reaches_the_handler() -> None:
    assert usable(EVERYTHING, handler()) == EVERYTHING
    changed = handler().with_turn_taking(EVERYTHING)
    assert set(TurnTakingForm(handler()).fields) == set(EVERYTHING)
    found = {**vars(changed.algo_options), **vars(changed.interruption), "can_interrupt": changed.can_interrupt}
    found["voice_detector"] = changed.model_name
    assert {**found, "threshold": changed.model_options.threshold}.items() >= EVERYTHING.items()


def test_nothing_given_is_as_in_the_code() -> None:
    prototype = handler(algo_options=AlgoOptions(pre_roll=0.7), can_interrupt=False)
    assert settings_of(prototype.with_turn_taking({})) == settings_of(prototype)
    assert TurnTakingForm(prototype, {}).is_valid()


def test_the_prototype_keeps_its_own_values() -> None:
    prototype = handler(interruption=InterruptionOptions(min_speech=1), model_options=SileroVadOptions(0.6))
    before = settings_of(prototype)
    changed = prototype.with_turn_taking({"min_speech": 2, "threshold": 0.8, "of_another_version": 1})
    assert settings_of(prototype) == before
    assert changed.interruption == InterruptionOptions(min_speech=2)
    assert changed.model_options == SileroVadOptions(0.8)


def test_a_handler_with_a_copy_of_its_own() -> None:
    class Own(ReplyOnPause):
        def copy(self) -> Self:
            return type(self)(self.fn)

    assert handler(can_interrupt=True).with_turn_taking({"can_interrupt": False}).can_interrupt is False
    assert Own(reply).with_turn_taking({"pre_roll": 0.5}).algo_options.pre_roll == 0.5


@dataclasses.dataclass
class Loudness:
    decibels: float = -30


class AnyOptions:
    threshold = 3


@pytest.mark.parametrize("options", [Loudness(), AnyOptions(), {"threshold": 3}])
def test_options_of_another_model_are_left_alone(options: Any) -> None:
    prototype = handler(model_options=options)
    assert "threshold" not in TurnTakingForm(prototype).fields
    values = usable({"threshold": 0.7, "pre_roll": 0.5}, prototype)
    assert values == {"pre_roll": 0.5}
    changed = prototype.with_turn_taking({"threshold": 0.7, "pre_roll": 0.5})
    assert changed.model_options == options
    assert changed.algo_options.pre_roll == 0.5


def test_empty_fields_show_what_the_code_says() -> None:
    form = TurnTakingForm(handler(algo_options=AlgoOptions(longest_wait=2.5), can_interrupt=False))
    assert 'placeholder="2.5"' in str(form["longest_wait"])
    assert 'placeholder="∞"' in str(form["max_continuous_speech_s"])
    assert "As in the code (no)" in str(form["can_interrupt"])
    assert "As in the code (automatic)" in str(form["end_of_utterance"])
    assert all(field.help_text and field.label for field in form.fields.values())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"threshold": "7"}, {"threshold": ["Between 0.05 and 0.95."]}),
        ({"pre_roll": "-1"}, {"pre_roll": ["Between 0 and 3 seconds."]}),
        ({"min_words": "-1"}, {"min_words": ["Between 0 and 50 words."]}),
        ({"longest_wait": "soon"}, {"longest_wait": ["Enter a number."]}),
        ({"longest_wait": "nan"}, {"longest_wait": ["Enter a number."]}),
        ({"can_interrupt": "maybe"}, {"can_interrupt": None}),
        ({"end_of_utterance": "dice"}, {"end_of_utterance": None}),
        (
            {"shortest_wait": "0.9"},
            {"shortest_wait": ["The shortest wait, 0.9 s, must not be longer than the longest wait, 0.8 s."]},
        ),
        (
            {"longest_wait": "0.1", "shortest_wait": "0.2"},
            {"shortest_wait": ["The shortest wait, 0.2 s, must not be longer than the longest wait, 0.1 s."]},
        ),
        ({"speech_threshold": "0.6"}, {"speech_threshold": ["0.6 s of speech must be less than the window, 0.6 s."]}),
        (
            {"audio_chunk_duration": "0.15"},
            {"audio_chunk_duration": ["0.2 s of speech must be less than the window, 0.15 s."]},
        ),
    ],
)
def test_what_makes_no_sense_is_said_in_words(values: dict[str, str], words: dict[str, list[str] | None]) -> None:
    in_code = AlgoOptions(0.6, 0.2, 0.1, shortest_wait=0.1, longest_wait=0.8)
    found = problems(values, algo_options=in_code)
    assert found.keys() == words.keys()
    assert all(expected in (None, found[name]) for name, expected in words.items())


def test_the_code_itself_is_not_criticised() -> None:
    odd = AlgoOptions(shortest_wait=2, longest_wait=1, speech_threshold=3)
    assert problems({"pre_roll": "0.5"}, algo_options=odd) == {}


def test_waits_may_be_the_same() -> None:
    assert problems({"shortest_wait": "0.5", "longest_wait": "0.5"}) == {}


def test_words_and_melody_need_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_directory", tmp_path)

    class Model:
        def completeness(self, samples: Any, rate: int) -> float:
            return 1.0

    (words,) = problems({"end_of_utterance": "semantic"})["end_of_utterance"]
    assert "fetch_models" in words
    assert problems({"end_of_utterance": "semantic"}, end_of_utterance=Model()) == {}
    assert usable({"end_of_utterance": "semantic", "pre_roll": 0.5}, handler()) == {"pre_roll": 0.5}


@pytest.mark.parametrize("stored", [[1], "x", 3, True, None])
def test_what_is_stored_may_be_anything(stored: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert usable(stored, handler()) == {}
    assert "Turn taking" in caplog.text


def test_bad_stored_values_are_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    bad = {"threshold": "loud", "pre_roll": [1], "min_words": {"a": 1}, "can_interrupt": "perhaps"}
    with caplog.at_level(logging.WARNING):
        assert usable({**bad, "min_speech": 0.4, "of_another_version": 1}, handler()) == {"min_speech": 0.4}
    for name in bad:
        assert f"{name} is as in the code" in caplog.text


def test_a_pair_that_does_not_fit_any_more_is_left_out() -> None:
    """The code's longest wait has changed since the shortest one was saved."""
    prototype = handler(algo_options=AlgoOptions(longest_wait=0.4))
    assert usable({"shortest_wait": 0.5, "pre_roll": 0.5}, prototype) == {"pre_roll": 0.5}
