import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from streams.media.outputs import AdditionalOutputs, Emitted
from streams.media.replies import Reply
from tests.media.virtual_time import Gate, settled


class Played:
    def __init__(self) -> None:
        self.items: list[Any] = []

    async def play(self, item: Emitted) -> None:
        self.items.append(item)


@pytest.fixture
def played() -> Played:
    return Played()


def reply(function: Callable[..., Any], played: Played, *args: Any) -> Reply:
    return Reply(function, args, played.play)


# -- kinds of functions


def counting(word: str) -> Iterator[Any]:
    yield f"{word} 1"
    yield f"{word} 2"


async def async_counting(word: str) -> AsyncIterator[Any]:
    yield f"{word} 1"
    await asyncio.sleep(1)
    yield f"{word} 2"


def single(word: str) -> Any:
    return word


async def async_single(word: str) -> Any:
    await asyncio.sleep(1)
    return word


class Teller:
    def method(self, word: str) -> Iterator[Any]:
        yield from counting(word)

    async def async_method(self, word: str) -> AsyncIterator[Any]:
        async for item in async_counting(word):
            yield item

    async def coroutine_method(self, word: str) -> Any:
        return await async_single(word)


class Callable1:
    def __call__(self, word: str) -> Iterator[Any]:
        yield from counting(word)


class AsyncCallable:
    async def __call__(self, word: str) -> AsyncIterator[Any]:
        async for item in async_counting(word):
            yield item


class CoroutineCallable:
    async def __call__(self, word: str) -> Any:
        return await async_single(word)


class Wrapping:
    """A callable object with a ``func`` of another kind, as decorators have."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func

    async def __call__(self, word: str) -> Any:
        return self.func(word)


def two_words(first: str, word: str) -> Iterator[Any]:
    yield from counting(f"{first} {word}")


async def async_two_words(first: str, word: str) -> AsyncIterator[Any]:
    async for item in async_counting(f"{first} {word}"):
        yield item


TWO = ["hey 1", "hey 2"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (counting, TWO),
        (async_counting, TWO),
        (single, ["hey"]),
        (async_single, ["hey"]),
        (Teller().method, TWO),
        (Teller().async_method, TWO),
        (Teller().coroutine_method, ["hey"]),
        (Callable1(), TWO),
        (AsyncCallable(), TWO),
        (CoroutineCallable(), ["hey"]),
        (Wrapping(single), ["hey"]),
        (functools.partial(two_words, "a"), ["a hey 1", "a hey 2"]),
        (functools.partial(async_two_words, "a"), ["a hey 1", "a hey 2"]),
        (functools.partial(functools.partial(async_two_words), "a"), ["a hey 1", "a hey 2"]),
        (functools.partial(AsyncCallable()), TWO),
        (lambda word: counting(word), TWO),
        (lambda word: async_counting(word), TWO),
        (lambda word: async_single(word), ["hey"]),
        (lambda word: iter(TWO), TWO),
        (lambda word: None, [None]),
    ],
)
async def test_every_kind_of_function_is_played(
    function: Callable[..., Any], expected: list[Any], played: Played
) -> None:
    await reply(function, played, "hey").run()
    assert played.items == expected


def nothing() -> Iterator[Any]:
    yield from ()


async def async_nothing() -> AsyncIterator[Any]:
    if False:
        yield


@pytest.mark.parametrize("function", [nothing, async_nothing])
async def test_an_empty_reply(function: Callable[..., Any], played: Played) -> None:
    await reply(function, played).run()
    assert played.items == []


async def test_sync_code_runs_in_one_thread_of_its_own(played: Played) -> None:
    threads = []

    def talk() -> Iterator[Any]:
        threads.append(threading.current_thread())
        yield 1
        threads.append(threading.current_thread())
        yield 2
        threads.append(threading.current_thread())

    await reply(talk, played).run()
    assert len(set(threads)) == 1
    assert threads[0] is not threading.main_thread()
    threads[0].join()  # it ends with the reply


async def test_async_code_runs_in_the_loop(played: Played) -> None:
    async def talk() -> AsyncIterator[Any]:
        yield threading.current_thread()

    await reply(talk, played).run()
    assert played.items == [threading.main_thread()]


async def test_a_generator_waits_until_its_item_has_been_taken(played: Played) -> None:
    """A reply does not run ahead of who plays it."""
    made: list[int] = []
    may_play = asyncio.Semaphore(0)

    def talk() -> Iterator[Any]:
        for number in range(5):
            made.append(number)
            yield number

    async def play(item: Emitted) -> None:
        await may_play.acquire()

    running = asyncio.create_task(Reply(talk, (), play).run())
    await asyncio.sleep(1)
    assert made == [0]
    may_play.release()
    await asyncio.sleep(1)
    assert made == [0, 1]
    running.cancel()
    await asyncio.wait({running})


# -- raising


def fails_at_once() -> Iterator[Any]:
    raise KeyError("no")
    yield


def fails_later() -> Iterator[Any]:
    yield 1
    raise KeyError("no")


async def async_fails_later() -> AsyncIterator[Any]:
    yield 1
    raise KeyError("no")


def single_fails() -> Any:
    raise KeyError("no")


async def async_single_fails() -> Any:
    raise KeyError("no")


@pytest.mark.parametrize(
    ("function", "before"),
    [(fails_at_once, []), (fails_later, [1]), (async_fails_later, [1]), (single_fails, []), (async_single_fails, [])],
)
async def test_errors_come_out(function: Callable[..., Any], before: list[int], played: Played) -> None:
    with pytest.raises(KeyError):
        await reply(function, played).run()
    assert played.items == before


def stops_inside() -> Iterator[Any]:
    yield 1
    next(iter(()))


async def async_stops_inside() -> AsyncIterator[Any]:
    yield 1
    next(iter(()))


class StopsInside:
    def __call__(self) -> Any:
        return next(iter(()))


@pytest.mark.parametrize("function", [stops_inside, async_stops_inside, StopsInside()])
async def test_a_stop_iteration_inside_is_an_error_and_no_silent_end(
    function: Callable[..., Any], played: Played
) -> None:
    with pytest.raises(RuntimeError):
        await reply(function, played).run()


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
async def test_a_reply_cannot_end_the_process(exception: type[BaseException], played: Played) -> None:
    def leave() -> Iterator[Any]:
        raise exception
        yield

    try:
        await reply(leave, played).run()
    except BaseException as error:  # noqa: BLE001
        assert isinstance(error, Exception)
    else:
        pytest.fail("nothing was raised")


# -- cancelling


class Witness:
    """Tells in which thread the generator's ``finally`` ran."""

    def __init__(self) -> None:
        self.worker: threading.Thread | None = None
        self.closed_in: threading.Thread | None = None
        self.closed = threading.Event()

    def leave(self) -> None:
        self.closed_in = threading.current_thread()
        self.closed.set()


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_in_the_middle_of_a_step(played: Played) -> None:
    gate, witness = Gate(), Witness()

    def talk() -> Iterator[Any]:
        witness.worker = threading.current_thread()
        try:
            yield 1
            gate.wait()
            yield 2
            yield 3
        finally:
            witness.leave()

    running = asyncio.create_task(reply(talk, played).run())
    await gate.reached.wait()
    await cancelled(running)  # at once, though the thread is blocked
    assert not witness.closed.is_set()
    gate.open()
    assert witness.closed.wait(5)
    assert witness.closed_in is witness.worker
    assert played.items == [1]
    assert witness.worker is not None
    witness.worker.join()


async def test_cancelled_while_its_item_is_played() -> None:
    witness = Witness()

    def talk() -> Iterator[Any]:
        witness.worker = threading.current_thread()
        try:
            yield 1
            yield 2
        finally:
            witness.leave()

    async def play(item: Emitted) -> None:
        await asyncio.sleep(1000)

    running = asyncio.create_task(Reply(talk, (), play).run())
    await asyncio.sleep(1)
    await cancelled(running)
    assert witness.closed.wait(5)
    assert witness.closed_in is witness.worker


@pytest.mark.parametrize("bad", [ValueError, TypeError])
async def test_closed_in_its_own_thread_when_its_item_cannot_be_played(bad: type[Exception]) -> None:
    witness = Witness()

    def talk() -> Iterator[Any]:
        witness.worker = threading.current_thread()
        try:
            yield "no audio"
            yield "more"
        finally:
            witness.leave()

    async def play(item: Emitted) -> None:
        raise bad("this is no audio")

    with pytest.raises(bad):
        await Reply(talk, (), play).run()
    assert witness.closed.wait(5)
    assert witness.closed_in is witness.worker


async def test_an_async_generator_is_closed(played: Played) -> None:
    left: list[str] = []

    async def talk() -> AsyncIterator[Any]:
        try:
            yield 1
            await asyncio.sleep(1000)
            yield 2
        finally:
            left.append("cleaned")

    running = asyncio.create_task(reply(talk, played).run())
    await asyncio.sleep(1)
    await cancelled(running)
    assert played.items == [1]
    assert left == ["cleaned"]


async def test_an_async_generator_is_closed_while_its_item_is_played() -> None:
    left: list[str] = []

    async def talk() -> AsyncIterator[Any]:
        try:
            yield 1
        finally:
            left.append("cleaned")

    async def play(item: Emitted) -> None:
        await asyncio.sleep(1000)

    running = asyncio.create_task(Reply(talk, (), play).run())
    await asyncio.sleep(1)
    await cancelled(running)
    assert left == ["cleaned"]


async def test_a_cancelled_plain_function_is_not_played(played: Played) -> None:
    gate = Gate()

    def talk() -> Any:
        gate.wait()
        return AdditionalOutputs("late")

    running = asyncio.create_task(reply(talk, played).run())
    await gate.reached.wait()
    await cancelled(running)
    gate.open()
    await settled()
    assert played.items == []


async def test_a_generator_that_raises_while_it_is_closed_is_only_logged(
    played: Played, caplog: pytest.LogCaptureFixture
) -> None:
    gate, done = Gate(), threading.Event()

    def talk() -> Iterator[Any]:
        try:
            gate.wait()
            yield 1
        finally:
            done.set()
            raise OSError("cannot hang up")

    running = asyncio.create_task(reply(talk, played).run())
    await gate.reached.wait()
    await cancelled(running)
    gate.open()
    assert done.wait(5)
    for thread in [t for t in threading.enumerate() if t.name == "stream-reply"]:
        thread.join(10)
    assert "while it was being closed" in caplog.text


async def test_a_hundred_cancelled_replies_leave_no_thread(played: Played) -> None:
    before = threading.active_count()

    def talk() -> Iterator[Any]:
        while True:
            yield 1

    for _ in range(100):
        running = asyncio.create_task(reply(talk, played).run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await cancelled(running)
    for thread in [t for t in threading.enumerate() if t.name == "stream-reply"]:
        thread.join(10)
    assert threading.active_count() == before
