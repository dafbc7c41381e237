"""The main job, as a visitor lives it: speak, be answered, interrupt."""

import itertools
from pathlib import Path

import numpy as np

from tests.browser.visitor import Loudness, Visitors
from tests.speech import sentence, silence, write_wav

AUDIBLE = 0.01  # the recording is at about 0.05, the test tone at 0.18
SILENT = 0.002


async def test_a_visitor_speaks_and_hears_the_reply_twice(visitors: Visitors, tmp_path: Path) -> None:
    microphone = write_wav(tmp_path / "speech.wav", silence(1.5), sentence(4)[1], silence(3.5))
    visitor = await visitors.arrive("/streams/echo/", microphone)
    await visitor.page.get_by_role("button", name="Start").press("Enter")
    await visitor.sees_state("listening")
    await visitor.listen()
    for utterance in (1, 2):
        await visitor.sees_message("response_finished", utterance)
        times, said, heard = await visitor.heard()
        replied = heard > AUDIBLE
        assert seconds(times, replied) > 0.5, "the reply was not heard"
        assert not replied[times < first_sound(times, said)].any(), "something was heard before anybody spoke"
    said_in_order = ["started_talking", "pause_detected", "response_starting", "response_finished"]
    assert (await visitor.messages())[:8] == said_in_order * 2


async def test_speaking_over_a_long_reply_silences_it_at_once(visitors: Visitors, tmp_path: Path) -> None:
    speech = [part for number in (4, 5, 1) for part in (sentence(number)[1], silence(3.5))]
    visitor = await visitors.arrive("/streams/long-reply/", write_wav(tmp_path / "speech.wav", silence(1), *speech))
    await visitor.start()
    await visitor.sees_state("listening")
    await visitor.listen()
    await visitor.sees_message("response_starting", 5)
    delays = interruptions(*await visitor.heard())
    print("barge-in, ms:", [round(1000 * delay) for delay in delays])  # noqa: T201 - the figure a reader asks for
    assert len(delays) >= 3
    assert max(delays) <= 0.3


async def test_a_reply_that_raises_is_reported_and_the_next_one_works(visitors: Visitors, tmp_path: Path) -> None:
    microphone = write_wav(tmp_path / "speech.wav", silence(1.5), sentence(4)[1], silence(2.5))
    visitor = await visitors.arrive("/streams/raises/", microphone)
    await visitor.start()
    await visitor.sees_state("listening")
    await visitor.listen()
    await visitor.page.locator('[data-part="log"] li[data-type="error"]').wait_for()
    await visitor.sees_message("response_starting")
    await visitor.sees_state("listening")
    times, _, heard = await visitor.heard()
    assert seconds(times, heard > AUDIBLE) > 0.3


def seconds(times: Loudness, where: np.ndarray) -> float:
    return float(where.mean() * (times[-1] - times[0]))


def first_sound(times: Loudness, loudness: Loudness) -> float:
    return float(times[np.argmax(loudness > AUDIBLE)])


def interruptions(times: Loudness, said: Loudness, heard: Loudness) -> list[float]:
    """For each time speech starts over a sounding reply: seconds from its start until the reply is silent."""
    spoken = times[said > AUDIBLE]
    starts = [after for before, after in itertools.pairwise(spoken) if after - before > 1]
    return [silent_from(times, heard, start) - start for start in starts if sounding(times, heard, start)]


def sounding(times: Loudness, heard: Loudness, at: float) -> bool:
    return bool((heard[(times > at - 0.2) & (times < at)] > AUDIBLE).all())


def silent_from(times: Loudness, heard: Loudness, start: float) -> float:
    """The end of the last sound before a second of silence: a reply that only hesitates is not silenced."""
    sound = times[(heard > SILENT) & (times >= start)]
    pauses = [before for before, after in itertools.pairwise(sound) if after - before > 1]
    return float(pauses[0] if pauses else sound[-1])
