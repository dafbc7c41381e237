import asyncio
import contextvars
import os
import sys
import threading
from collections.abc import Iterator

import pytest

from streams.media.threads import UserThread
from tests.media.virtual_time import Gate


@pytest.fixture
def thread() -> Iterator[UserThread]:
    thread = UserThread("stream-test")
    yield thread
    thread.stop()


async def test_runs_off_the_loop_always_in_the_same_daemon_thread(thread: UserThread) -> None:
    first, second = await thread.run(threading.current_thread), await thread.run(threading.current_thread)
    assert first is second is not threading.main_thread()
    assert first.daemon
    assert first.name == "stream-test"


@pytest.mark.skipif(sys.platform != "linux", reason="no other system has a priority for each thread")
async def test_a_thread_that_gives_way_lets_the_loop_go_first(thread: UserThread) -> None:
    polite = UserThread("stream-test", gives_way=True)
    assert await polite.run(os.nice, 0) > await thread.run(os.nice, 0) == os.nice(0)
    polite.stop()


async def test_results_and_arguments(thread: UserThread) -> None:
    assert await thread.run(divmod, 7, 3) == (2, 1)


async def test_errors_reach_who_asked_and_the_thread_goes_on(thread: UserThread) -> None:
    with pytest.raises(ZeroDivisionError):
        await thread.run(divmod, 1, 0)
    assert await thread.run(divmod, 4, 2) == (2, 0)


async def test_stop_iteration_is_an_error_too(thread: UserThread) -> None:
    with pytest.raises(RuntimeError):
        await thread.run(next, iter(()))
    assert await thread.run(abs, -1) == 1


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
async def test_user_code_cannot_end_the_loop_or_the_task(thread: UserThread, exception: type[BaseException]) -> None:
    def leave() -> None:
        raise exception

    try:
        await thread.run(leave)
    except BaseException as error:  # noqa: BLE001
        assert isinstance(error, Exception)
    else:
        pytest.fail("nothing was raised")
    assert sys.is_finalizing() is False


async def test_jobs_run_one_after_the_other_in_order(thread: UserThread) -> None:
    done: list[int] = []
    await asyncio.gather(*(thread.run(done.append, number) for number in range(100)))
    assert done == list(range(100))


async def test_the_callers_context_variables_are_seen(thread: UserThread) -> None:
    variable = contextvars.ContextVar("variable", default="outside")
    variable.set("inside")
    assert await thread.run(variable.get) == "inside"


async def test_a_cancelled_wait_drops_the_result(thread: UserThread) -> None:
    gate = Gate()
    waiting = asyncio.create_task(thread.run(gate.wait))
    await gate.reached.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.open()
    assert await thread.run(abs, -1) == 1


async def test_a_stopped_thread_ends_after_its_jobs() -> None:
    thread, done = UserThread("stream-test"), threading.Event()
    worker = await thread.run(threading.current_thread)
    thread.submit(done.set)
    thread.stop()
    worker.join()
    assert done.is_set()


def test_a_thread_that_outlives_the_loop_is_quiet() -> None:
    thread, release = UserThread("stream-test"), threading.Event()

    async def give_up() -> threading.Thread:
        worker = await thread.run(threading.current_thread)
        waiting = asyncio.create_task(thread.run(release.wait))
        await asyncio.sleep(0)
        waiting.cancel()
        return worker

    with asyncio.Runner() as runner:
        worker = runner.run(give_up())
    release.set()
    thread.stop()
    worker.join()


async def test_an_unused_thread_costs_nothing() -> None:
    before = threading.active_count()
    UserThread("stream-test").stop()
    assert threading.active_count() == before
