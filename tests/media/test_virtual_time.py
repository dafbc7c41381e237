import asyncio
import threading
import time

import pytest

from streams.media.threads import UserThread
from tests.media.virtual_time import Gate, Stuck, now


async def test_an_hour_passes_in_a_moment() -> None:
    began, really = now(), time.monotonic()
    await asyncio.sleep(3600)
    assert now() - began == pytest.approx(3600)
    assert time.monotonic() - really < 60


async def test_timers_fire_in_order() -> None:
    fired: list[int] = []
    for delay in (3, 1, 2):
        asyncio.get_running_loop().call_later(delay, fired.append, delay)
    await asyncio.sleep(4)
    assert fired == [1, 2, 3]


async def test_time_stands_still_while_a_thread_works() -> None:
    thread, began = UserThread("test"), now()
    later = asyncio.create_task(asyncio.sleep(1))
    for _ in range(50):
        await thread.run(threading.active_count)
    assert now() == began
    await later
    thread.stop()


async def test_time_goes_on_while_a_thread_waits_at_a_gate() -> None:
    thread, gate = UserThread("test"), Gate()
    work = asyncio.create_task(thread.run(gate.wait))
    await asyncio.sleep(5)
    assert not work.done()
    gate.open()
    await work
    thread.stop()


def test_waiting_for_nothing_is_an_error() -> None:
    from tests.media.virtual_time import VirtualTimeLoop

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, pytest.raises(Stuck):
        runner.run(asyncio.Event().wait())
