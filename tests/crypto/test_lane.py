from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from identity.crypto.lane import HashingLane
from identity.domain.errors import Overloaded

request_id: ContextVar[str] = ContextVar("request_id", default="nobody's")


class Workshop:
    """A lane whose workers are held at a door, and the list of what they have begun."""

    def __init__(self, workers: int, waiting: int) -> None:
        self.lane = HashingLane(workers, waiting)
        self.begun: list[str] = []
        self._changed = asyncio.Event()
        self._doors: dict[str, threading.Event] = {}
        self._loop = asyncio.get_running_loop()

    def send(self, source: str, name: str) -> asyncio.Task[str]:
        """Queues work that begins when a worker is free and ends when `let_out` is called."""
        door = self._doors[name] = threading.Event()

        def work() -> str:
            self._loop.call_soon_threadsafe(self._note, name)
            assert door.wait(10)
            return f"{name} done"

        return asyncio.create_task(self.lane.run(source, work), name=name)

    def let_out(self, *names: str) -> None:
        for name in names or self._doors:
            self._doors[name].set()

    async def until_begun(self, name: str) -> None:
        async with asyncio.timeout(10):
            while name not in self.begun:
                self._changed.clear()
                await self._changed.wait()

    async def begin_in_turn(self, count: int) -> list[str]:
        """Lets one after the other out until `count` have begun, and gives the order."""
        async with asyncio.timeout(10):
            for index in range(count):
                while len(self.begun) <= index:
                    self._changed.clear()
                    await self._changed.wait()
                self.let_out(self.begun[index])
        return self.begun[:count]

    def _note(self, name: str) -> None:
        self.begun.append(name)
        self._changed.set()


@pytest.fixture
async def workshop() -> AsyncIterator[Callable[[int, int], Workshop]]:
    opened: list[Workshop] = []

    def build(workers: int, waiting: int) -> Workshop:
        opened.append(Workshop(workers, waiting))
        return opened[-1]

    yield build
    for shop in opened:
        shop.let_out()
        await shop.lane.close()


Build = Callable[[int, int], Workshop]


async def _queued() -> None:
    """Gives every task that was just made its first step."""
    await asyncio.sleep(0)


async def test_AV_01_what_does_not_fit_is_refused_before_any_work(workshop: Build) -> None:
    shop = workshop(1, 2)
    tasks = [shop.send("a", f"a{number}") for number in range(4)]
    with pytest.raises(Overloaded) as refusal:
        await tasks[3]
    assert refusal.value.retry_after is not None
    assert refusal.value.retry_after > 0
    shop.let_out()
    assert await asyncio.gather(*tasks[:3]) == ["a0 done", "a1 done", "a2 done"]
    assert "a3" not in shop.begun


async def test_AV_01_with_no_queue_only_a_free_worker_takes_work(workshop: Build) -> None:
    shop = workshop(1, 0)
    first = shop.send("a", "a0")
    await shop.until_begun("a0")
    with pytest.raises(Overloaded):
        await shop.send("b", "b0")
    shop.let_out("a0")
    assert await first == "a0 done"
    second = shop.send("b", "b1")
    shop.let_out("b1")
    assert await second == "b1 done"
    assert list(shop.begun) == ["a0", "b1"]


async def test_F_17_a_flooding_source_loses_its_newest_entry_to_a_newcomer(workshop: Build) -> None:
    shop = workshop(1, 3)
    flood = [shop.send("flood", f"f{number}") for number in range(4)]
    await _queued()
    guest = shop.send("guest", "g0")
    with pytest.raises(Overloaded):
        await flood[3]
    shop.let_out()
    assert await guest == "g0 done"
    assert await asyncio.gather(*flood[:3]) == ["f0 done", "f1 done", "f2 done"]


async def test_F_17_a_flood_that_goes_on_only_pushes_out_itself(workshop: Build) -> None:
    shop = workshop(1, 8)
    shop.send("flood", "f-first")
    await shop.until_begun("f-first")
    flood = [shop.send("flood", f"f{number}") for number in range(50)]
    guests = [shop.send(f"guest {number}", f"g{number}") for number in range(3)]
    await _queued()
    flood += [shop.send("flood", f"f{number}") for number in range(50, 100)]
    await _queued()
    assert shop.lane.waiting == 8
    assert not any(guest.done() for guest in guests)
    shop.let_out()
    assert await asyncio.gather(*guests) == ["g0 done", "g1 done", "g2 done"]
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(outcome, Overloaded) for outcome in outcomes) == 95


async def test_F_17_sources_take_turns_whatever_the_length_of_their_queues(workshop: Build) -> None:
    shop = workshop(1, 20)
    shop.send("flood", "first")
    await shop.until_begun("first")
    for name in ("f0", "f1", "f2", "f3"):
        shop.send("flood", name)
    for name in ("a0", "a1"):
        shop.send("a", name)
    shop.send("b", "b0")
    await _queued()
    assert await shop.begin_in_turn(8) == ["first", "f0", "a0", "b0", "f1", "a1", "f2", "f3"]


async def test_F_17_a_source_that_comes_back_at_once_waits_for_the_others(workshop: Build) -> None:
    shop = workshop(1, 20)
    shop.send("flood", "first")
    await shop.until_begun("first")
    shop.send("flood", "f0")
    shop.send("a", "a0")
    shop.send("b", "b0")
    await _queued()
    shop.let_out("first")
    await shop.until_begun("f0")
    shop.send("flood", "f1")
    await _queued()
    assert (await shop.begin_in_turn(5))[2:] == ["a0", "b0", "f1"]


async def test_F_17_between_equally_long_queues_the_newcomer_is_shed(workshop: Build) -> None:
    shop = workshop(1, 2)
    shop.send("x", "x0")
    await shop.until_begun("x0")
    first, second = shop.send("a", "a0"), shop.send("b", "b0")
    await _queued()
    with pytest.raises(Overloaded):
        await shop.send("c", "c0")
    assert not first.done()
    assert not second.done()
    shop.let_out()
    assert [await first, await second] == ["a0 done", "b0 done"]


async def test_F_17_within_a_source_the_oldest_comes_first(workshop: Build) -> None:
    shop = workshop(1, 10)
    for number in range(5):
        shop.send("a", f"a{number}")
    assert await shop.begin_in_turn(5) == ["a0", "a1", "a2", "a3", "a4"]


async def test_AV_01_never_more_than_the_workers_run(workshop: Build) -> None:
    shop = workshop(3, 10)
    tasks = [shop.send(f"s{number}", f"w{number}") for number in range(9)]
    for name in ("w0", "w1", "w2"):
        await shop.until_begun(name)
    assert (shop.lane.running, shop.lane.waiting) == (3, 6)
    assert sorted(shop.begun) == ["w0", "w1", "w2"]
    shop.let_out("w1")
    assert await tasks[1] == "w1 done"
    await shop.until_begun("w3")
    assert (shop.lane.running, shop.lane.waiting) == (3, 5)
    shop.let_out()
    await asyncio.gather(*tasks)
    assert (shop.lane.running, shop.lane.waiting) == (0, 0)


async def test_work_runs_in_a_thread_of_the_lane_and_the_loop_goes_on(workshop: Build) -> None:
    shop = workshop(1, 1)
    names: list[str] = []
    await shop.lane.run("a", lambda: names.append(threading.current_thread().name))
    assert names[0].startswith("hashing")
    assert threading.current_thread().name not in names


async def test_work_sees_the_context_of_its_own_caller_and_changes_nobodys(workshop: Build) -> None:
    lane = workshop(2, 10).lane

    async def call(number: int) -> str:
        request_id.set(f"r{number}")

        def work() -> str:
            seen = request_id.get()
            request_id.set("changed")
            return seen

        seen = await lane.run("a", work)
        assert request_id.get() == f"r{number}"
        return seen

    assert await asyncio.gather(*(call(number) for number in range(8))) == [f"r{number}" for number in range(8)]
    assert request_id.get() == "nobody's"


async def test_an_error_of_the_work_reaches_its_caller_and_nobody_else(workshop: Build) -> None:
    lane = workshop(1, 5).lane

    def broken() -> None:
        raise LookupError("of the work")

    bad = asyncio.create_task(lane.run("a", broken))
    good = asyncio.create_task(lane.run("a", lambda: 42))
    with pytest.raises(LookupError, match="of the work"):
        await bad
    assert await good == 42
    assert (lane.running, lane.waiting) == (0, 0)


async def test_F_21_a_cancelled_entry_leaves_the_queue_and_never_runs(workshop: Build) -> None:
    shop = workshop(1, 2)
    shop.send("a", "a0")
    await shop.until_begun("a0")
    gone, stays = shop.send("a", "a1"), shop.send("b", "b0")
    await _queued()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert shop.lane.waiting == 1
    next_one = shop.send("c", "c0")  # the room is free again
    shop.let_out()
    assert [await stays, await next_one] == ["b0 done", "c0 done"]
    assert "a1" not in shop.begun


async def test_F_21_an_entry_cancelled_in_the_moment_its_turn_comes_does_not_run(workshop: Build) -> None:
    shop = workshop(1, 5)
    loop = asyncio.get_running_loop()
    shop.send("a", "a0")
    await shop.until_begun("a0")
    gone, stays = shop.send("a", "a1"), shop.send("a", "a2")
    await _queued()
    # Hold the loop until the thread is done with the first. The lane hears of that one step from now, and
    # the cancelled caller, if told in that step, only wakes up after the lane has looked for its next entry.
    shop.let_out("a0")
    shop.lane._threads.submit(lambda: None).result(10)
    loop.call_soon(gone.cancel)
    shop.let_out()
    assert await stays == "a2 done"
    assert gone.cancelled()
    assert "a1" not in shop.begun


async def test_F_21_an_entry_cancelled_in_the_moment_it_is_shed_gives_its_room_to_the_newcomer(workshop: Build) -> None:
    shop = workshop(1, 2)
    shop.send("a", "a0")
    await shop.until_begun("a0")
    stays, gone = shop.send("a", "a1"), shop.send("a", "a2")
    await _queued()
    guest = shop.send("b", "b0")
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert shop.lane.waiting == 2
    shop.let_out()
    assert [await stays, await guest] == ["a1 done", "b0 done"]


async def test_F_21_the_others_of_a_source_stay_when_one_of_them_is_cancelled(workshop: Build) -> None:
    shop = workshop(1, 5)
    shop.send("a", "a0")
    await shop.until_begun("a0")
    before, gone, after = (shop.send("a", f"a{number}") for number in (1, 2, 3))
    await _queued()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert shop.lane.waiting == 2
    shop.let_out()
    assert [await before, await after] == ["a1 done", "a3 done"]
    assert list(shop.begun) == ["a0", "a1", "a3"]


async def test_F_21_work_that_has_begun_runs_to_its_end_and_keeps_its_place_until_then(workshop: Build) -> None:
    shop = workshop(1, 2)
    gone = shop.send("a", "a0")
    await shop.until_begun("a0")
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    after = shop.send("b", "b0")
    await _queued()
    assert (shop.lane.running, shop.lane.waiting) == (1, 1)
    shop.let_out()
    assert await after == "b0 done"
    assert list(shop.begun) == ["a0", "b0"]
    assert (shop.lane.running, shop.lane.waiting) == (0, 0)


async def test_F_21_an_error_of_work_whose_caller_has_gone_harms_nobody(workshop: Build) -> None:
    shop = workshop(1, 2)
    door, begun = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:

        def broken() -> None:
            loop.call_soon_threadsafe(begun.set)
            assert door.wait(10)
            raise LookupError

        gone = asyncio.create_task(shop.lane.run("a", broken))
        await begun.wait()
        gone.cancel()
        door.set()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert await shop.lane.run("b", lambda: 42) == 42
        gc.collect()
    finally:
        loop.set_exception_handler(None)
    assert complaints == []


async def test_F_21_a_caller_that_is_shed_and_cancelled_at_once_leaves_nothing_behind(workshop: Build) -> None:
    shop = workshop(1, 2)
    shop.send("a", "a0")
    await shop.until_begun("a0")
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        stays, shed = shop.send("a", "a1"), shop.send("a", "a2")
        await _queued()
        guest = shop.send("b", "b0")
        loop.call_soon(shed.cancel)  # right after the step in which the guest pushes it out
        with pytest.raises(asyncio.CancelledError):
            await shed
        del shed
        gc.collect()
        shop.let_out()
        assert [await stays, await guest] == ["a1 done", "b0 done"]
    finally:
        loop.set_exception_handler(None)
    assert complaints == []
    assert (shop.lane.running, shop.lane.waiting) == (0, 0)


async def test_F_21_any_order_of_coming_leaving_and_finishing_ends_with_an_empty_lane(workshop: Build) -> None:
    shop = workshop(2, 6)
    tasks: list[asyncio.Task[str]] = []
    for number in range(200):
        tasks.append(shop.send(f"s{number % 7}", f"w{number}"))
        if number % 3 == 0:
            await _queued()
        if number % 5 == 0:
            tasks[number // 2].cancel()
        if number % 4 == 0:
            shop.let_out(f"w{number - number % 8}")
        assert shop.lane.waiting <= 6
        assert shop.lane.running <= 2
    shop.let_out()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, (str, Overloaded, asyncio.CancelledError))
    await shop.lane.close()
    assert (shop.lane.running, shop.lane.waiting) == (0, 0)
    assert len(shop.begun) == len(set(shop.begun))
    assert {outcome.split()[0] for outcome in outcomes if isinstance(outcome, str)} <= set(shop.begun)


async def test_AV_01_the_advice_to_come_back_follows_the_length_of_the_queue_and_of_the_work(workshop: Build) -> None:
    async def advice(workers: int, waiting: int) -> float:
        shop = workshop(workers, waiting)
        for number in range(workers + waiting):
            shop.send("a", f"a{number}")
        await _queued()
        with pytest.raises(Overloaded) as refusal:
            await shop.send("b" if waiting == 0 else "a", "late")
        assert refusal.value.retry_after is not None
        return refusal.value.retry_after

    assert await advice(1, 1) < await advice(1, 4)
    assert await advice(4, 4) < await advice(1, 4)

    quick = workshop(1, 0)
    for _ in range(60):
        await quick.lane.run("a", lambda: None)
    quick.send("a", "held")
    await quick.until_begun("held")
    with pytest.raises(Overloaded) as refusal:
        await quick.send("a", "late")
    assert refusal.value.retry_after is not None
    assert refusal.value.retry_after < await advice(1, 0) / 2


async def test_F_18_closing_finishes_what_runs_and_refuses_the_rest(workshop: Build) -> None:
    shop = workshop(1, 5)
    running = shop.send("a", "a0")
    await shop.until_begun("a0")
    waiting = [shop.send("a", "a1"), shop.send("b", "b0")]
    await _queued()
    closing = asyncio.create_task(shop.lane.close())
    for refused in waiting:
        with pytest.raises(Overloaded):
            await refused
    with pytest.raises(Overloaded):
        await shop.send("c", "late")
    assert not closing.done()
    shop.let_out()
    assert await running == "a0 done"
    await closing
    assert list(shop.begun) == ["a0"]
    assert (shop.lane.running, shop.lane.waiting) == (0, 0)
    with pytest.raises(Overloaded):
        await shop.lane.run("a", lambda: None)
    await shop.lane.close()


async def test_F_18_closing_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    lane = HashingLane(3, 3)
    await asyncio.gather(*(lane.run("a", lambda: None) for _ in range(3)))
    begun = [thread for thread in threading.enumerate() if thread not in before]
    assert begun
    await lane.close()
    assert not any(thread.is_alive() for thread in begun)


@pytest.mark.parametrize(("workers", "waiting"), [(0, 1), (-1, 1), (1, -1)])
def test_AV_03_a_lane_needs_a_worker_and_a_queue_that_is_not_negative(workers: int, waiting: int) -> None:
    with pytest.raises(ValueError, match=r"worker|queue"):
        HashingLane(workers, waiting)
