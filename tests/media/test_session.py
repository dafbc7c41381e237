import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from streams.media.audio import Audio
from streams.media.context import Context, get_current_context
from streams.media.errors import WebRTCError
from streams.media.handlers import AsyncStreamHandler, StreamHandler
from streams.media.messages import Message
from streams.media.outputs import AdditionalOutputs, CloseStream, Emitted
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.session import TRANSITIONS, Hooks, Reason, Session, SessionConfig, State
from streams.media.transport import FakeTransport
from tests.media.client import Client, silence, voice
from tests.media.virtual_time import Gate, now, settled


class Handler(AsyncStreamHandler):
    """Records what the session does with it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.calls: list[str] = []
        self.received: list[Audio] = []
        self.asked: list[float] = []

    def copy(self) -> "Handler":
        return type(self)()

    async def start_up(self) -> None:
        self.calls.append("start_up")

    async def shutdown(self) -> None:
        self.calls.append("shutdown")

    async def receive(self, frame: Audio) -> None:
        self.received.append(frame)

    async def emit(self) -> Emitted:
        self.asked.append(now())
        return None


class SyncHandler(StreamHandler):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.calls: list[str] = []
        self.received: list[Audio] = []

    def copy(self) -> "SyncHandler":
        return type(self)()

    def start_up(self) -> None:
        self.calls.append("start_up")

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def receive(self, frame: Audio) -> None:
        self.received.append(frame)

    def emit(self) -> Emitted:
        return None


class Closed:
    """Hooks that record."""

    def __init__(self) -> None:
        self.reasons: list[Reason] = []
        self.outputs: list[tuple[Any, ...]] = []
        self.hooks = Hooks(
            on_closed=lambda session, reason: self.reasons.append(reason),
            on_outputs=lambda session, outputs: self.outputs.append(outputs.args),
        )


# -- life


def in_state(state: State) -> Client:
    client = Client(Handler())
    client.session.state = state
    return client


@pytest.mark.parametrize("to", State)
@pytest.mark.parametrize("start", State)
async def test_the_state_table(start: State, to: State) -> None:
    session = in_state(start).session
    if to in TRANSITIONS[start]:
        session._enter(to)
        assert session.state is to
    else:
        with pytest.raises(RuntimeError, match=f"cannot go from {start.value} to {to.value}"):
            session._enter(to)
        assert session.state is start


def test_every_state_leads_to_the_end_and_none_back() -> None:
    order = list(State)
    for state, following in TRANSITIONS.items():
        assert all(order.index(other) > order.index(state) for other in following)
        assert state in (State.CLOSING, State.CLOSED) or State.CLOSING in following
    assert set(TRANSITIONS) == set(State)


async def test_a_whole_life() -> None:
    handler, closed = Handler(), Closed()
    client = Client(handler, hooks=closed.hooks)
    states = [client.session.state]
    client.session.connecting()
    states.append(client.session.state)
    client.session.connected()
    states.append(client.session.state)
    await settled()
    closing = client.session.close(Reason.CLIENT_CLOSED)
    states.append(client.session.state)
    await closing
    states.append(client.session.state)
    assert states == list(State)
    assert handler.calls == ["start_up", "shutdown"]
    assert client.transport.closed
    assert closed.reasons == [Reason.CLIENT_CLOSED]


@pytest.mark.parametrize("make", [Handler, SyncHandler])
@pytest.mark.parametrize("progress", ["new", "connecting", "live"])
async def test_closing_from_any_state_shuts_the_handler_down_once(
    make: type[Handler] | type[SyncHandler], progress: str
) -> None:
    handler, closed = make(), Closed()
    client = Client(handler, hooks=closed.hooks)
    if progress != "new":
        client.session.connecting()
    if progress == "live":
        client.session.connected()
        await settled()
    await asyncio.gather(*(client.session.close(reason) for reason in (Reason.VANISHED, Reason.SERVER_SHUTDOWN)))
    await client.session.close(Reason.CLIENT_CLOSED)
    assert handler.calls.count("shutdown") == 1
    assert closed.reasons == [Reason.VANISHED]
    assert client.session.state is State.CLOSED
    assert client.transport.closed


async def test_closed_at_the_very_moment_it_connects() -> None:
    handler = Handler()
    client = Client(handler)
    client.session.connecting()
    client.session.connected()
    await client.session.close(Reason.CLIENT_CLOSED)
    assert handler.calls.count("shutdown") == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_who_does_not_connect_in_time_is_let_go() -> None:
    handler, closed, began = Handler(), Closed(), now()
    client = Client(handler, hooks=closed.hooks, config=SessionConfig(connect_timeout=5))
    client.session.connecting()
    await asyncio.sleep(4.9)
    assert client.session.state is State.CONNECTING
    await asyncio.sleep(0.2)
    assert closed.reasons == [Reason.CONNECT_TIMEOUT]
    assert handler.calls == ["shutdown"]
    assert now() - began < 5.2


async def test_who_connects_in_time_may_stay() -> None:
    closed = Closed()
    client = await Client(Handler(), hooks=closed.hooks, config=SessionConfig(connect_timeout=5)).connect()
    await asyncio.sleep(100)
    assert closed.reasons == []
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_the_time_limit_counts_from_the_connection() -> None:
    closed = Closed()
    client = Client(Handler(), hooks=closed.hooks, config=SessionConfig(connect_timeout=30, time_limit=60))
    client.session.connecting()
    await asyncio.sleep(20)
    await client.connect_later()
    await asyncio.sleep(59.9)
    assert closed.reasons == []
    await asyncio.sleep(0.2)
    assert closed.reasons == [Reason.TIME_LIMIT]
    assert client.transport.texts("end_stream") == [Reason.TIME_LIMIT.value]


async def test_a_second_connected_does_not_count() -> None:
    handler = Handler()
    client = await Client(handler).connect()
    client.session.connected()
    await settled()
    assert handler.calls == ["start_up"]
    await client.session.close(Reason.CLIENT_CLOSED)
    client.session.connected()
    assert client.session.state is State.CLOSED


@pytest.mark.parametrize("reason", Reason)
async def test_the_client_is_told_why_unless_it_was_the_client(reason: Reason) -> None:
    client = await Client(Handler()).connect()
    await client.session.close(reason)
    assert client.transport.texts("end_stream") == ([] if reason is Reason.CLIENT_CLOSED else [reason.value])


@pytest.mark.parametrize("make", [Handler, SyncHandler])
async def test_nothing_is_left_after_closing(make: type[Handler] | type[SyncHandler]) -> None:
    before = set(threading.enumerate())
    client = await Client(make()).connect()
    await client.speak(voice(0.5))
    await client.session.close(Reason.CLIENT_CLOSED)
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


async def test_a_handler_that_ignores_its_cancellation_does_not_hold_the_session() -> None:
    class Stubborn(Handler):
        async def emit(self) -> Emitted:
            while not released.is_set():
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    continue
            return None

    released = asyncio.Event()
    handler = Stubborn()
    client, began = await Client(handler).connect(), now()
    await client.session.close(Reason.CLIENT_CLOSED)
    assert now() - began < 3
    assert handler.calls == ["start_up", "shutdown"]
    released.set()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await settled()


@pytest.mark.parametrize("error", [RuntimeError("no"), asyncio.CancelledError()])
async def test_a_failing_shutdown_does_not_stop_the_closing(error: BaseException) -> None:
    class Failing(Handler):
        async def shutdown(self) -> None:
            raise error

    closed = Closed()
    client = await Client(Failing(), hooks=closed.hooks).connect()
    await asyncio.wait({client.session.close(Reason.CLIENT_CLOSED)})
    assert client.transport.closed
    assert closed.reasons == [Reason.CLIENT_CLOSED]


async def test_a_failing_transport_does_not_stop_the_closing() -> None:
    class Broken(FakeTransport):
        def send_message(self, message: Message) -> None:
            raise ConnectionError("gone")

        async def close(self) -> None:
            raise ConnectionError("gone")

    handler, closed = Handler(), Closed()
    session = Session(handler, Broken(), Context("caller"), hooks=closed.hooks)
    session.connecting()
    session.connected()
    await settled()
    await asyncio.wait({session.close(Reason.VANISHED)})
    assert session.state is State.CLOSED
    assert handler.calls == ["start_up", "shutdown"]
    assert closed.reasons == [Reason.VANISHED]


async def test_a_handler_that_cannot_start_ends_the_session() -> None:
    class Failing(Handler):
        async def start_up(self) -> None:
            raise WebRTCError("No model today.")

    closed, handler = Closed(), Failing()
    client = await Client(handler, hooks=closed.hooks).connect()
    await asyncio.sleep(0.1)
    assert client.errors == ["No model today."]
    assert closed.reasons == [Reason.HANDLER_FAILED]
    assert handler.calls == ["shutdown"]


async def test_a_handler_that_is_slow_to_start_hears_what_was_said_meanwhile() -> None:
    class Slow(Handler):
        live_edge = False

        async def start_up(self) -> None:
            await asyncio.sleep(2)

    handler = Slow()
    client = await Client(handler).connect()
    await client.speak(voice(1))
    assert handler.received == []
    await asyncio.sleep(2)
    assert sum(frame[1].size for frame in handler.received) == 48000
    await client.session.close(Reason.CLIENT_CLOSED)


# -- input


async def test_a_patient_handler_hears_everything_in_order() -> None:
    class Patient(Handler):
        live_edge = False

        async def receive(self, frame: Audio) -> None:
            await asyncio.sleep(0.03)
            self.received.append(frame)

    handler = Patient()
    client, said = await Client(handler).connect(), voice(3)
    await client.speak(said)
    await asyncio.sleep(3)
    assert np.concatenate([frame[1][0] for frame in handler.received]).tolist() == said.tolist()
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_a_slow_live_handler_hears_what_is_said_now() -> None:
    class Slow(Handler):
        async def receive(self, frame: Audio) -> None:
            self.received.append(frame)
            moments.append(now())
            await asyncio.sleep(0.2)

    handler, moments = Slow(), list[float]()
    client = await Client(handler).connect()
    began = now()
    count = np.repeat(np.arange(500), 960).astype(np.int16)  # each frame tells its number
    await client.speak(count)
    lateness = [
        at - began - (int(frame[1][0, 0]) + 1) * 0.02 for at, frame in zip(moments, handler.received, strict=True)
    ]
    assert len(lateness) > 40
    assert max(lateness) < 0.11
    await client.session.close(Reason.CLIENT_CLOSED)


@pytest.mark.parametrize("when", ["start", "middle"])
async def test_an_echo_is_not_late_after_a_burst(when: str) -> None:
    """One second of audio comes at once, packet by packet, then real time."""

    class Echo(Handler):
        async def emit(self) -> Emitted:
            return self.received.pop(0) if self.received else None

    client = await Client(Echo(output_sample_rate=48000)).connect()
    if when == "middle":
        await client.speak(silence(5))
        await asyncio.sleep(1)
    for _ in range(50):
        client.session.receive_audio(silence(0.02), 48000, client.spoken / 48000)
        client.spoken += 960
        await asyncio.sleep(0.0005)
    await client.speak(silence(5))
    began = now()
    await client.speak(voice(0.1), silence(0.5))
    assert client.heard_at()[0] - began < 0.065
    await client.session.close(Reason.CLIENT_CLOSED)


@pytest.mark.parametrize("patient", [False, True])
async def test_silence_in_the_place_of_lost_audio_is_for_those_who_want_everything(patient: bool) -> None:
    class Listener(Handler):
        live_edge = not patient

    handler = Listener()
    client = await Client(handler).connect()
    await client.speak(voice(1))
    before = len(handler.received)
    await asyncio.sleep(0.42)  # nothing is sent, or it is lost
    client.session.receive_audio(silence(0.4), 48000, client.spoken / 48000, True)
    client.session.receive_audio(voice(0.02), 48000, client.spoken / 48000 + 0.4)
    await settled()
    after = [frame[1].size for frame in handler.received[before:]]
    assert after == ([19200, 960] if patient else [960])
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_input_before_and_after_the_live_state_is_left_alone() -> None:
    handler = Handler()
    client = Client(handler)
    client.session.receive_audio(voice(0.02), 48000, 0.0)
    await client.connect()
    assert handler.received == []
    await client.session.close(Reason.CLIENT_CLOSED)
    client.session.receive_audio(voice(0.02), 48000, 0.02)
    await settled()
    assert handler.received == []


async def test_the_rate_may_change_in_mid_call() -> None:
    class Patient(Handler):
        live_edge = False

    handler = Patient(input_sample_rate=16000)
    client = Client(handler)
    await client.connect()
    for number in range(100):
        rate = 48000 if number < 50 else 8000
        client.session.receive_audio(voice(0.02, rate), rate, number * 0.02)
        await asyncio.sleep(0.02)
    assert {frame[0] for frame in handler.received} == {16000}
    assert sum(frame[1].size for frame in handler.received) == pytest.approx(32000, abs=400)
    await client.session.close(Reason.CLIENT_CLOSED)


# -- output


async def test_emit_is_asked_again_after_a_frame_time_and_never_spins() -> None:
    handler = Handler()
    client = await Client(handler).connect()
    await asyncio.sleep(10)
    assert len(handler.asked) == pytest.approx(500, abs=3)
    assert min(later - earlier for earlier, later in pairwise(handler.asked)) > 0.019
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_emit_is_asked_again_as_soon_as_there_is_input() -> None:
    handler = Handler()
    client = await Client(handler).connect()
    for number in range(50):
        await asyncio.sleep(0.02)
        client.session.receive_audio(silence(0.02), 48000, number * 0.02)
    await settled()
    heard = now()
    await asyncio.sleep(0.027)
    client.session.receive_audio(silence(0.02), 48000, 50 * 0.02)
    await settled()
    assert any(abs(moment - heard - 0.027) < 0.0001 for moment in handler.asked)
    assert len(handler.asked) < 110
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_a_failing_emit_does_not_spin() -> None:
    class Failing(Handler):
        async def emit(self) -> Emitted:
            self.asked.append(now())
            raise RuntimeError("no")

    handler = Failing()
    client = await Client(handler).connect()
    await asyncio.sleep(2)
    assert len(handler.asked) == pytest.approx(100, abs=3)
    assert len(client.errors) == pytest.approx(4, abs=1)
    await client.session.close(Reason.CLIENT_CLOSED)


@pytest.mark.parametrize("item", [AdditionalOutputs(1), (24000, np.zeros((1, 0), np.int16))], ids=["outputs", "empty"])
async def test_an_emit_that_never_waits_does_not_stop_the_others(item: Emitted) -> None:
    class Eager(Handler):
        async def emit(self) -> Emitted:
            self.asked.append(now())
            if len(self.asked) - seen[0] > 2000:
                pytest.fail("the loop had no turn in 2000 items")
            return item

    seen = [0]
    handler = Eager()
    client = Client(handler)
    client.session.connecting()
    client.session.connected()
    for _ in range(200):
        await asyncio.sleep(0)
        seen[0] = len(handler.asked)
    assert client.session.state is State.LIVE
    assert not [task for task in client.session._tasks if task.done()]
    assert len(client.session._tasks) == 2
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_a_handler_that_writes_ahead_waits() -> None:
    class Ahead(Handler):
        async def emit(self) -> Emitted:
            self.asked.append(now())
            return 24000, np.zeros((1, 24000), np.int16)

    handler = Ahead()
    client = await Client(handler).connect()
    await asyncio.sleep(30)
    assert len(handler.asked) == pytest.approx(30 + 11, abs=2)
    await client.session.close(Reason.CLIENT_CLOSED)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
async def test_any_rate_is_played_at_the_right_speed(rate: int) -> None:
    class Once(Handler):
        async def emit(self) -> Emitted:
            self.asked.append(now())
            return (rate, voice(1, rate)[None, :]) if len(self.asked) == 1 else None

    client = await Client(Once()).connect()
    await asyncio.sleep(2)
    heard = client.hear()
    assert heard.size == pytest.approx(24000, abs=960)
    spectrum = np.abs(np.fft.rfft(heard[:24000].astype(float)))
    assert int(spectrum[10:].argmax()) + 10 == pytest.approx(220, abs=3)
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_float_audio_that_is_too_loud_is_clipped() -> None:
    class Once(Handler):
        async def emit(self) -> Emitted:
            self.asked.append(now())
            return (24000, np.full((1, 480), 1.5, np.float32)) if len(self.asked) == 1 else None

    client = await Client(Once()).connect()
    await asyncio.sleep(0.2)
    assert set(client.hear().tolist()) == {32767}
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_the_last_samples_are_played_when_nothing_follows() -> None:
    class Once(Handler):
        async def emit(self) -> Emitted:
            self.asked.append(now())
            return (24000, voice(0.03, 24000)[None, :]) if len(self.asked) == 1 else None

    client = await Client(Once()).connect()
    await asyncio.sleep(1)
    assert client.hear()[:720].tolist() == voice(0.03, 24000).tolist()
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_outputs_reach_the_owner_and_the_client_hears_of_them() -> None:
    class Once(Handler):
        async def emit(self) -> Emitted:
            self.asked.append(now())
            items: dict[int, Emitted] = {
                1: AdditionalOutputs("alone"),
                2: ((24000, voice(0.1, 24000)[None, :]), AdditionalOutputs("beside", 2)),
            }
            return items.get(len(self.asked))

    closed = Closed()
    client = await Client(Once(), hooks=closed.hooks).connect()
    await asyncio.sleep(1)
    assert closed.outputs == [("alone",), ("beside", 2)]
    assert len(client.transport.texts("fetch_output")) == 2
    assert client.hear().size == 2400
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_the_stream_closes_when_all_was_heard() -> None:
    class Farewell(Handler):
        async def emit(self) -> Emitted:
            self.asked.append(now())
            if len(self.asked) == 1:
                return (24000, voice(2, 24000)[None, :]), CloseStream("Goodbye.")
            return None

    handler, closed, began = Farewell(), Closed(), now()
    client = await Client(handler, hooks=closed.hooks).connect()
    await asyncio.sleep(1.9)
    assert closed.reasons == []
    await asyncio.sleep(0.2)
    assert closed.reasons == [Reason.HANDLER_CLOSED]
    assert client.transport.texts("end_stream") == ["Goodbye."]
    assert client.hear().size == 48000
    assert now() - began < 2.2
    assert handler.calls == ["start_up", "shutdown"]


async def test_clear_drops_what_is_written_and_what_the_resampler_holds() -> None:
    client = await Client(Handler()).connect()
    client.session.hold()
    await client.session.play((16000, voice(1, 16000)[None, :]))
    assert client.session.clear() == pytest.approx(1, abs=0.01)
    assert client.transport.clears == 1
    await client.session.play((16000, np.zeros((1, 1600), np.int16)))
    client.session.finish()
    await asyncio.sleep(0.5)
    assert not client.hear().any()
    await client.session.close(Reason.CLIENT_CLOSED)


# -- errors


class ErrorsInReceive(Handler):
    error: Exception = RuntimeError("the password is 1234")

    async def receive(self, frame: Audio) -> None:
        self.received.append(frame)
        if len(self.received) == 1:
            raise self.error


class ErrorsInEmit(Handler):
    error: Exception = RuntimeError("the password is 1234")

    async def emit(self) -> Emitted:
        self.asked.append(now())
        if len(self.asked) == 1:
            raise self.error
        return None


@pytest.mark.parametrize("make", [ErrorsInReceive, ErrorsInEmit])
@pytest.mark.parametrize(
    ("error", "debug", "expected"),
    [
        (RuntimeError("the password is 1234"), False, "Something went wrong in this stream. Please try again."),
        (RuntimeError("the password is 1234"), True, "RuntimeError: the password is 1234"),
        (WebRTCError("Say it again."), False, "Say it again."),
        (WebRTCError("Say it again."), True, "Say it again."),
    ],
)
async def test_an_error_is_shown_and_the_session_goes_on(
    make: type[ErrorsInReceive] | type[ErrorsInEmit],
    error: Exception,
    debug: bool,
    expected: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = make()
    handler.error = error
    client = await Client(handler, config=SessionConfig(debug=debug)).connect()
    await client.speak(voice(1))
    assert client.errors == [expected]
    assert len(handler.received) >= 49
    assert len(handler.asked) >= 49
    assert client.session.state is State.LIVE
    assert str(error) in caplog.text
    assert ("Traceback" in caplog.text) is not isinstance(error, WebRTCError), "words for the visitor are deliberate"
    await client.session.close(Reason.CLIENT_CLOSED)


@pytest.mark.parametrize("emitted", ["hello", (24000, np.zeros(5, np.int32)), (24000, np.zeros((3, 4, 5), np.int16))])
async def test_nonsense_that_is_emitted_is_an_error_and_the_session_goes_on(emitted: Any) -> None:
    class Nonsense(Handler):
        async def emit(self) -> Emitted:
            self.asked.append(now())
            return emitted if len(self.asked) == 1 else None

    handler = Nonsense()
    client = await Client(handler, config=SessionConfig(debug=True)).connect()
    await asyncio.sleep(1)
    assert len(client.errors) == 1
    assert len(handler.asked) > 40
    await client.session.close(Reason.CLIENT_CLOSED)


@pytest.mark.parametrize("rate", [0, -1, 1, 10**9])
async def test_an_impossible_rate_is_an_error_and_the_session_goes_on(rate: int) -> None:
    class Odd(Handler):
        async def emit(self) -> Emitted:
            self.asked.append(now())
            first = len(self.asked) == 1
            return (rate if first else 16000, voice(0.02, 16000)[None, :]) if len(self.asked) < 40 else None

    handler = Odd()
    client = await Client(handler, config=SessionConfig(debug=True)).connect()
    await asyncio.sleep(2)
    assert client.session.state is State.LIVE
    assert client.hear().size > 24000 * 0.5
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_a_handler_that_fails_all_the_time_is_heard_twice_a_second() -> None:
    class Failing(Handler):
        async def receive(self, frame: Audio) -> None:
            self.received.append(frame)
            raise RuntimeError("no")

    handler = Failing()
    client = await Client(handler).connect()
    await client.speak(voice(10))
    assert len(client.errors) == pytest.approx(20, abs=2)
    assert len(handler.received) >= 498
    await client.session.close(Reason.CLIENT_CLOSED)


@pytest.mark.parametrize("where", ["receive", "emit"])
async def test_a_cancelled_task_of_the_handlers_own_is_an_error_like_any_other(where: str) -> None:
    """Awaiting one's own cancelled task raises CancelledError; that must not make the session deaf or dumb."""

    class Impatient(Handler):
        async def stumble(self) -> None:
            task = asyncio.create_task(asyncio.sleep(1))
            task.cancel()
            await task

        async def receive(self, frame: Audio) -> None:
            self.received.append(frame)
            if where == "receive" and len(self.received) == 1:
                await self.stumble()

        async def emit(self) -> Emitted:
            self.asked.append(now())
            if where == "emit" and len(self.asked) == 1:
                await self.stumble()
            return None

    handler = Impatient()
    client = await Client(handler).connect()
    await client.speak(voice(1))
    assert len(handler.received) >= 48
    assert len(handler.asked) >= 48
    await client.session.close(Reason.CLIENT_CLOSED)


@pytest.mark.parametrize("where", ["receive", "emit"])
async def test_sys_exit_in_a_handlers_thread_does_not_stop_the_server(where: str) -> None:
    class Leaving(SyncHandler):
        def receive(self, frame: Audio) -> None:
            self.received.append(frame)
            if where == "receive" and len(self.received) == 1:
                raise SystemExit

        def emit(self) -> Emitted:
            self.calls.append("emit")
            if where == "emit" and self.calls.count("emit") == 1:
                raise SystemExit
            return None

    handler = Leaving()
    client = await Client(handler).connect()
    await client.speak(voice(1))
    assert len(handler.received) >= 48
    assert handler.calls.count("emit") >= 48
    await client.session.close(Reason.CLIENT_CLOSED)


# -- threads and contexts


async def test_a_blocked_sync_handler_blocks_nobody_else() -> None:
    gate = Gate()

    class Blocked(SyncHandler):
        def receive(self, frame: Audio) -> None:
            gate.wait()

        def emit(self) -> Emitted:
            gate.wait()
            return None

    blocked = [await Client(Blocked(), id=f"blocked {number}").connect() for number in range(40)]
    lively, sync = Handler(), SyncHandler()
    clients = [await Client(lively, id="lively").connect(), await Client(sync, id="sync").connect()]
    await asyncio.gather(*(client.speak(voice(1)) for client in [*blocked, *clients]))
    assert len(lively.received) >= 49
    assert len(sync.received) >= 49
    began = now()
    await asyncio.gather(*(client.session.close(Reason.CLIENT_CLOSED) for client in [*blocked, *clients]))
    assert now() - began < 3
    gate.open()


inherited: contextvars.ContextVar[str] = contextvars.ContextVar("inherited", default="fresh")


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_handlers_do_not_inherit_the_callers_context(kind: str) -> None:
    seen: list[str] = []

    class Async(Handler):
        async def start_up(self) -> None:
            seen.append(inherited.get())

        async def receive(self, frame: Audio) -> None:
            seen.append(inherited.get())

        async def emit(self) -> Emitted:
            seen.append(inherited.get())
            return None

        async def shutdown(self) -> None:
            seen.append(inherited.get())

    class Sync(SyncHandler):
        def start_up(self) -> None:
            seen.append(inherited.get())

        def receive(self, frame: Audio) -> None:
            seen.append(inherited.get())

        def emit(self) -> Emitted:
            seen.append(inherited.get())
            return None

        def shutdown(self) -> None:
            seen.append(inherited.get())

    inherited.set("of the request")
    client = await Client(Async() if kind == "async" else Sync()).connect()
    await client.speak(voice(0.1))
    await client.session.close(Reason.CLIENT_CLOSED)
    assert len(seen) > 8
    assert set(seen) == {"fresh"}


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_handlers_know_whom_they_talk_to(kind: str) -> None:
    seen: list[str] = []

    def note() -> None:
        seen.append(get_current_context().webrtc_id)

    class Async(Handler):
        async def start_up(self) -> None:
            note()

        async def receive(self, frame: Audio) -> None:
            note()

        async def emit(self) -> Emitted:
            note()
            return None

        async def shutdown(self) -> None:
            note()

    class Sync(SyncHandler):
        def start_up(self) -> None:
            note()

        def receive(self, frame: Audio) -> None:
            note()

        def emit(self) -> Emitted:
            note()
            return None

        def shutdown(self) -> None:
            note()

    make: Callable[[], AsyncStreamHandler | StreamHandler] = Async if kind == "async" else Sync
    ada, bob = await Client(make(), id="ada").connect(), await Client(make(), id="bob").connect()
    await asyncio.gather(ada.speak(voice(0.2)), bob.speak(voice(0.2)))
    count = len(seen)
    await ada.session.close(Reason.CLIENT_CLOSED)
    assert "bob" not in seen[count:] or seen[count:].count("ada") == 1
    await bob.session.close(Reason.CLIENT_CLOSED)
    assert set(seen) == {"ada", "bob"}
    assert min(seen.count("ada"), seen.count("bob")) > 10
    with pytest.raises(RuntimeError):
        get_current_context()


async def test_a_reply_in_a_thread_knows_whom_it_talks_to(loud_is_speech: None) -> None:
    seen: list[str] = []

    def answer(audio: Audio) -> Iterator[Emitted]:
        seen.append(get_current_context().webrtc_id)
        yield None

    client = await Client(ReplyOnPause(answer), id="ada").connect()
    await client.speak(silence(0.5), voice(1), silence(1))
    assert seen == ["ada"]
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_work_of_the_transport_ends_with_the_session() -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(get_current_context().webrtc_id)

    ended: list[str] = []
    client = await Client(Handler()).connect()
    coroutine: Coroutine[Any, Any, None] = work()
    client.session.run(coroutine)
    await settled()
    await client.session.close(Reason.CLIENT_CLOSED)
    assert ended == ["caller"]
