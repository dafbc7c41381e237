import dataclasses

import pytest

from streams.media.context import Context, current_context, get_current_context


def test_outside_a_handler_there_is_none() -> None:
    with pytest.raises(RuntimeError, match=r"^No context found"):
        get_current_context()


async def test_inside_it_says_who_talks() -> None:
    current_context.set(Context("abc", stream="echo", user="ada", options={"pace": 2}))
    context = get_current_context()
    assert (context.webrtc_id, context.stream, context.user, context.options["pace"]) == ("abc", "echo", "ada", 2)


def test_a_handler_cannot_become_somebody_else() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Context("abc").webrtc_id = "other"  # type: ignore[misc]
