"""The shipped streams that words govern: their options, what their pages say, and their answers."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from streams.media import Context
from streams.media.context import current_context
from streams.media.speech import engines
from streams.media.speech.engines import register_engine
from streams.models import Stream
from streams.registry import registry
from streams.spoken_commands import RadioCommands, StopWordCommands, obey
from tests.media.client import voice
from tests.plugins import engines_of_their_own

SAID = (24000, voice(1.0, 24000)[None, :])


def problems(name: str, **values: Any) -> dict[str, Any]:
    registration = registry.get(name)
    assert registration is not None and registration.options is not None
    return dict(registration.options({**registration.load_options({}), **values}).errors)


@pytest.mark.parametrize("phrases", [" , ,", "?!, computer"])
def test_a_phrase_has_a_word(phrases: str) -> None:
    assert problems("stop-words", phrases=phrases) == {
        "phrases": ["Each phrase must have a word in it, and there must be one."]
    }


@pytest.mark.parametrize("name", ["stop-words", "walkie-talkie"])
def test_the_options_are_phrases_and_engines(name: str) -> None:
    assert problems(name) == {}
    assert problems(name, phrases="hey house, ok house", tolerance=1, voice="espeak") == {}
    assert set(problems(name, phrases=" , ,", tolerance=3, recogniser="none")) == {"phrases", "tolerance", "recogniser"}


def test_the_stream_says_what_is_listened_for() -> None:
    handler = StopWordCommands(obey, ["listen computer"])
    assert handler.phrases({}).phrases == ["listen computer"]
    words = handler.phrases({"phrases": "hey house, ok house ,", "tolerance": 1})
    assert (words.phrases, words.tolerance) == (["hey house", "ok house"], 1)
    assert RadioCommands(obey).phrases({"phrases": "out"}).phrases == ["out"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("stop-words", {"stopWords": ["hey house", "ok house"]}),
        ("walkie-talkie", {"overWords": ["hey house", "ok house"]}),
        ("echo", {}),
    ],
)
def test_the_page_knows_the_phrases(client: Browser, handler: str, expected: dict[str, list[str]]) -> None:
    Stream.objects.create(slug="s", title="S", handler=handler, options={"phrases": "hey house, ok house"})
    response = client.get("/streams/s/")
    settings = response.context["settings"]
    assert {name: settings[name] for name in ("stopWords", "overWords") if name in settings} == expected
    assert ('data-part="chime"' in response.content.decode()) is ("stopWords" in expected)


class Ears:
    def __init__(self, words: str) -> None:
        self.words = words

    def stt(self, audio: Any) -> str:
        return self.words


@pytest.mark.parametrize(
    ("heard", "chat"),
    [
        ("What is 2 plus 5? Over.", ["What is 2 plus 5?", "2 plus 5 is 7."]),
        ("What is 2 plus 5, over", ["What is 2 plus 5", "2 plus 5 is 7."]),
        ("Come over here.", ["Come over here.", "You said: Come over here. What would you like to know?"]),
        ("Over.", ["Sorry, I did not catch that. Could you say it again?"]),
        ("", ["Sorry, I did not catch that. Could you say it again?"]),
    ],
)
async def test_what_was_said_is_answered_in_words_and_sound(heard: str, chat: list[str]) -> None:
    with engines_of_their_own():
        register_engine("stt", "ears", lambda: Ears(heard))
        options = {"phrases": "over", "recogniser": "ears", "voice": "pico"}
        current_context.set(Context("caller", options=options))
        items = [item async for item in obey(SAID)]
    assert [message["content"] for message in items[0].args[0]] == chat  # type: ignore[union-attr]
    assert sum(part[1].size for part in items[1:]) > 8000, "it was not said"  # type: ignore[index,union-attr,misc]


async def test_without_a_voice_it_is_read(caplog: pytest.LogCaptureFixture) -> None:
    with engines_of_their_own():
        register_engine("stt", "ears", lambda: Ears("Thank you."))
        current_context.set(Context("caller", options={"phrases": "over", "recogniser": "ears", "voice": "gone"}))
        assert len([item async for item in obey(SAID)]) == 1
    assert "There is no tts engine 'gone'" in caplog.text
    assert engines.engine_names("tts")
