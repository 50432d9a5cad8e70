"""Nothing waits without a bound, and nothing that began is torn (AV-01, TR-03, F-21).

No test sleeps: methods wait for events that the test sets, and `until` looks again at every turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, TypeVar

import grpc
import grpc.aio
import pytest
from tests.rpc.toy import PATIENCE, SERVICE, TOKEN, Served, Toy, ToyReply, ToyRequest, bearer, failure, serving, until

from identity.domain.errors import Overloaded
from identity.rpc.caller import current_source
from identity.rpc.source import SourceReader
from identity.rpc.work import Work, hashes

T = TypeVar("T")


class Held:
    """A synchronous method that stands still until it is released."""

    def __init__(self) -> None:
        self.entered = 0
        self.ended = 0
        self._release = Event()

    def __call__(self, request: Any) -> Any:
        self.entered += 1
        assert self._release.wait(PATIENCE)
        self.ended += 1
        return ToyReply(text=request.text)

    def release(self) -> None:
        self._release.set()


@contextmanager
def holding(toy: Toy) -> Iterator[Held]:
    held = Held()
    toy.do = held
    try:
        yield held
    finally:
        held.release()


async def assert_shed(served: Served, method: str = "Echo") -> None:
    seen = await failure(served.call(method))
    assert (seen.code, seen.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert (seen.retry_seconds, seen.trailing["retry-after"]) == (1.0, "1")


# Overflow.


async def test_a_full_queue_refuses_before_any_work() -> None:
    async with serving(threads=1, waiting=1) as served:
        with holding(served.toy) as held:
            calls = [served.call("Echo", ToyRequest(text=text)) for text in "ab"]
            await until(lambda: held.entered == 1 and served.pipeline.in_flight == 2)
            await assert_shed(served)
            assert held.entered == 1
            held.release()
            assert [(await call).text for call in calls] == ["a", "b"]
        await until(lambda: served.pipeline.in_flight == 0)
        await served.call("Echo")


@pytest.mark.parametrize("method", ["Echo", "Run"])
async def test_calls_in_flight_are_bounded_wherever_they_run(method: str) -> None:
    gate = asyncio.Event()

    async def run(_: object) -> Any:
        await gate.wait()
        return ToyReply()

    async with serving(Toy(run=run), in_flight=2) as served:
        with holding(served.toy) as held:
            calls = [asyncio.ensure_future(_finish(served.call(method))) for _ in range(2)]
            await until(lambda: served.pipeline.in_flight == 2)
            await assert_shed(served, "Echo")
            await assert_shed(served, "Run")
            gate.set()
            held.release()
            await asyncio.gather(*calls)
        await served.call(method)


async def _finish(call: Any) -> Any:
    return await call


async def test_a_refused_call_takes_no_place() -> None:
    async with serving(in_flight=1) as served:
        for _ in range(3):
            await failure(served.call("Mine"))
            await failure(served.call("Echo", b"\xff"))
            await failure(served.call("Echo", ToyRequest(text="x" * 17)))
        assert served.pipeline.in_flight == 0


async def test_streams_have_a_bound_of_their_own() -> None:
    async def watch(_: object) -> AsyncIterator[Any]:
        yield ToyReply()
        await asyncio.Event().wait()

    async with serving(Toy(watch=watch), streams=1, in_flight=1) as served:
        stream = served.stream(metadata=bearer(TOKEN))
        await stream.read()
        seen = await failure(served.stream(metadata=bearer(TOKEN)).read())
        assert seen.reason == "OVERLOADED"
        await served.call("Echo")
        stream.cancel()
        await until(lambda: served.pipeline.in_flight == 0)
        await served.stream(metadata=bearer(TOKEN)).read()


# The server's own deadline.


@pytest.mark.parametrize("method", ["Echo", "Hash"])
async def test_a_stalled_method_is_answered_in_time_and_its_thread_ends_TR_03(method: str) -> None:
    async with serving(threads=1, waiting=0, deadlines={f"/{SERVICE}/{method}": 0.05}) as served:
        with holding(served.toy) as held:
            seen = await failure(served.call(method, timeout=None))
            assert seen.code == grpc.StatusCode.DEADLINE_EXCEEDED
            assert seen.message == "The time limit of the server was reached."
            assert (held.entered, held.ended, served.pipeline.in_flight) == (1, 0, 1)
            await assert_shed(served)
            held.release()
            await until(lambda: served.pipeline.in_flight == 0)
            assert held.ended == 1
        await served.call(method)


async def test_a_stalled_async_method_is_answered_in_time_and_ends_TR_03() -> None:
    gate, ended = asyncio.Event(), asyncio.Event()

    async def run(_: object) -> Any:
        await gate.wait()
        ended.set()

    async with serving(Toy(run=run), deadline=0.05) as served:
        assert (await failure(served.call("Run"))).code == grpc.StatusCode.DEADLINE_EXCEEDED
        assert served.pipeline.in_flight == 1
        gate.set()
        await until(ended.is_set)
        await until(lambda: served.pipeline.in_flight == 0)


# A client that goes away.


async def test_a_slot_returns_when_the_thread_ends_and_not_before_F_21() -> None:
    async with serving(threads=1, waiting=0) as served:
        with holding(served.toy) as held:
            call = served.call("Echo")
            await until(lambda: held.entered == 1)
            call.cancel()
            await until(lambda: served.lines)
            assert served.lines[-1].code == "CANCELLED"
            assert served.pipeline.in_flight == 1
            await assert_shed(served)
            held.release()
            await until(lambda: served.pipeline.in_flight == 0)
            assert held.ended == 1
        await served.call("Echo")


async def test_work_that_nobody_waits_for_is_not_begun_F_21() -> None:
    async with serving(threads=1, waiting=1) as served:
        with holding(served.toy) as held:
            first = served.call("Echo", ToyRequest(text="first"))
            await until(lambda: held.entered == 1)
            second = served.call("Echo", ToyRequest(text="second"))
            await until(lambda: served.pipeline.in_flight == 2)
            second.cancel()
            await until(lambda: served.lines)
            held.release()
            await first
            await until(lambda: served.pipeline.in_flight == 0)
            assert held.entered == 1


async def test_an_async_method_is_not_torn_F_21() -> None:
    entered, gate, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(_: object) -> Any:
        entered.set()
        await gate.wait()
        await asyncio.sleep(0)
        ended.set()
        return ToyReply()

    async with serving(Toy(run=run)) as served:
        call = served.call("Run")
        await entered.wait()
        call.cancel()
        await until(lambda: served.lines)
        assert (served.lines[-1].code, served.pipeline.in_flight) == ("CANCELLED", 1)
        gate.set()
        await until(ended.is_set)
        await until(lambda: served.pipeline.in_flight == 0)


async def test_the_deadline_of_a_client_leaves_the_work_alone_F_21() -> None:
    async with serving() as served:
        with holding(served.toy) as held:
            assert (await failure(served.call("Echo", timeout=0.05))).code == grpc.StatusCode.DEADLINE_EXCEEDED
            await until(lambda: held.entered == 1 and served.lines)
            held.release()
            await until(lambda: held.ended == 1)
        await until(lambda: served.pipeline.in_flight == 0)


async def test_a_storm_of_cancels_leaves_nothing_behind_F_21() -> None:
    async with serving(threads=2, waiting=8) as served:
        for turns in range(60):
            calls = [served.call(method) for method in ("Echo", "Run", "Mine")]
            for _ in range(turns):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
        # What was sent last may arrive last, so that nothing is quiet before the gate is shut.
        served.pipeline.drain()
        async with asyncio.timeout(PATIENCE):
            await served.pipeline.close()
        assert served.pipeline.in_flight == 0


# The hashing lane.


class ToyLane:
    """A lane with one entry at a time, which begins when the test says so."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.left = 0
        self.open = asyncio.Event()

    async def run(self, source: str, work: Callable[[], T]) -> T:
        self.sources.append(source)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        return await asyncio.to_thread(work)


async def test_hashing_methods_run_in_the_lane_with_their_source_AV_01() -> None:
    lane = ToyLane()
    lane.open.set()
    async with serving(lane=lane, sources=SourceReader(["127.0.0.0/8"])) as served:
        served.toy.do = lambda request: ToyReply(text=str(current_source().address))
        assert (await served.call("Hash")).text == "None"
        assert (await served.call("Hash", metadata=(("x-client-ip", "2001:db8::1"),))).text == "2001:db8::1"
        await served.call("Echo")
        assert lane.sources == ["local", "2001:db8::/64"]


def test_an_async_method_cannot_hash() -> None:
    async def method() -> None: ...

    with pytest.raises(TypeError):
        hashes(method)


async def test_work_that_is_given_up_before_it_began_ends_too() -> None:
    ended: list[object] = []
    work = Work.start(asyncio.get_running_loop().create_future())
    work.at_end(lambda: ended.append(work.error))
    work.give_up()
    await until(lambda: ended)
    assert isinstance(ended[0], asyncio.CancelledError)


async def test_a_full_lane_is_overload() -> None:
    class Full(ToyLane):
        async def run(self, source: str, work: Callable[[], T]) -> T:
            raise Overloaded(retry_after=2.5)

    async with serving(lane=Full()) as served:
        seen = await failure(served.call("Hash"))
        assert (seen.reason, seen.retry_seconds, seen.trailing["retry-after"]) == ("OVERLOADED", 2.5, "3")


async def test_logins_that_wait_for_a_hash_keep_nobody_else_out_AV_01() -> None:
    lane = ToyLane()
    async with serving(lane=lane, threads=1, waiting=0, in_flight=5) as served:
        logins = [asyncio.ensure_future(_finish(served.call("Hash"))) for _ in range(5)]
        await until(lambda: len(lane.sources) == 5)
        await assert_shed(served, "Hash")
        await served.call("Echo")
        await served.call("Run")
        lane.open.set()
        await asyncio.gather(*logins)


async def test_a_client_that_leaves_gives_up_its_turn_in_the_lane() -> None:
    lane = ToyLane()
    async with serving(lane=lane) as served:
        served.toy.do = lambda request: pytest.fail("it should not begin")
        call = served.call("Hash")
        await until(lambda: lane.sources)
        call.cancel()
        await until(lambda: lane.left == 1 and served.pipeline.in_flight == 0)


async def test_a_hash_that_began_runs_to_its_end_F_21() -> None:
    lane = ToyLane()
    lane.open.set()
    async with serving(lane=lane) as served:
        with holding(served.toy) as held:
            call = served.call("Hash")
            await until(lambda: held.entered == 1)
            call.cancel()
            await until(lambda: served.lines)
            assert (lane.left, served.pipeline.in_flight) == (0, 1)
            held.release()
            await until(lambda: served.pipeline.in_flight == 0)
            assert held.ended == 1


# The end.


async def test_a_service_that_ends_refuses_and_lets_finish() -> None:
    async with serving() as served:
        with holding(served.toy) as held:
            call = asyncio.ensure_future(_finish(served.call("Echo", ToyRequest(text="done"))))
            await until(lambda: held.entered == 1)
            served.pipeline.drain()
            for method in ("Echo", "Run", "Hash"):
                seen = await failure(served.call(method))
                assert (seen.code, seen.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
                assert seen.retry_seconds == 1.0
            closing = asyncio.ensure_future(served.pipeline.close())
            held.release()
            assert (await call).text == "done"
            await closing
            assert held.ended == 1


async def test_closing_waits_for_work_whose_client_left() -> None:
    async with serving() as served:
        with holding(served.toy) as held:
            call = served.call("Echo")
            await until(lambda: held.entered == 1)
            call.cancel()
            await until(lambda: served.lines)
            closing = asyncio.ensure_future(served.pipeline.close())
            for _ in range(20):
                await asyncio.sleep(0)
            assert not closing.done()
            held.release()
            await closing
            assert held.ended == 1


async def test_a_service_that_ends_ends_its_streams_so_that_clients_go_elsewhere() -> None:
    cleaned = asyncio.Event()

    async def watch(_: object) -> AsyncIterator[Any]:
        try:
            yield ToyReply(text="first")
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    async with serving(Toy(watch=watch)) as served:
        stream = served.stream(metadata=bearer(TOKEN))
        assert (await stream.read()).text == "first"
        served.pipeline.drain()
        seen = await failure(stream.read())
        assert (seen.code, seen.reason, seen.retry_seconds) == (
            grpc.StatusCode.UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            1.0,
        )
        assert cleaned.is_set()
        assert served.pipeline.in_flight == 0


@pytest.mark.parametrize("turns", range(12))
async def test_a_stream_that_is_writing_says_that_it_ends(turns: int) -> None:
    """A status cannot follow a write that was torn, and a client without a status waits for ever."""

    async def watch(_: object) -> AsyncIterator[Any]:
        while True:
            yield ToyReply(text="x")

    async with serving(Toy(watch=watch)) as served:
        stream = served.stream(metadata=bearer(TOKEN))
        await until(lambda: served.pipeline.in_flight == 1)
        for _ in range(turns):
            await asyncio.sleep(0)
        served.pipeline.drain()
        assert (await failure(_read_all(stream))).reason == "SERVICE_UNAVAILABLE"


async def _read_all(stream: Any) -> None:
    async for _ in stream:
        pass


async def test_a_stream_that_nobody_reads_any_more_ends() -> None:
    cleaned = asyncio.Event()

    async def watch(_: object) -> AsyncIterator[Any]:
        try:
            while True:
                yield ToyReply(text="x")
                await asyncio.sleep(0)
        finally:
            cleaned.set()

    async with serving(Toy(watch=watch)) as served:
        stream = served.stream(metadata=bearer(TOKEN))
        await stream.read()
        stream.cancel()
        await until(cleaned.is_set)
        await until(lambda: served.pipeline.in_flight == 0)
        assert served.lines[-1].code == "CANCELLED"
