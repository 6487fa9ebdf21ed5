"""The line for places, with a clock of its own: who is next, who is turned away, what is told."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from prometheus_client import CollectorRegistry

from mcts.errors import Overloaded
from server.admission import Admission
from server.gate import Gate
from server.metrics import Metrics

WAIT = 30.0


class Line:
    """An admission with one place, which is held, and those who wait."""

    def __init__(self, *, queue: int = 100, per_key: int | None = None, places: int = 1) -> None:
        self.now = 0.0
        self.metrics = Metrics(CollectorRegistry())
        self.admission = Admission(places, queue, WAIT, self.metrics, lambda: self.now, per_key)
        self.order: list[str] = []

    async def come(self, name: str, cost: int, at: float) -> asyncio.Task[None]:
        """Somebody comes at a time and is now waiting."""
        self.now = at
        task = asyncio.create_task(self._search(name, cost))
        before = self.admission.waiting
        while self.admission.waiting == before:
            await asyncio.sleep(0)
        return task

    async def _search(self, name: str, cost: int) -> None:
        async with self.admission.place(cost):
            self.order.append(name)


async def test_of_those_that_come_together_the_shortest_goes_first() -> None:
    """Whatever the order in which they came within the same moment."""
    line = Line()
    async with line.admission.place():
        costs = {"long": 300_000, "short": 500, "middle": 20_000, "free": 0}
        tasks = [await line.come(name, cost, 0) for name, cost in costs.items()]
    await asyncio.gather(*tasks)
    assert line.order == ["free", "short", "middle", "long"]


async def test_a_long_search_is_not_starved_by_short_ones() -> None:
    """It stands at most half of the longest wait behind: who comes later than that goes after it."""
    line = Line()
    async with line.admission.place():
        tasks = [await line.come("long", 10**9, 0)]
        tasks += [await line.come(f"short at {at:g}", 0, at) for at in (1, 14.9, 15.1, 20)]
    await asyncio.gather(*tasks)
    assert line.order == ["short at 1", "short at 14.9", "long", "short at 15.1", "short at 20"]


async def test_equal_searches_go_in_order_of_arrival() -> None:
    """Rank ties are broken by who came first."""
    line = Line()
    async with line.admission.place():
        tasks = [await line.come(str(n), 1000, 0) for n in range(8)]
    await asyncio.gather(*tasks)
    assert line.order == [str(n) for n in range(8)]


def test_the_handicap_grows_with_the_cost_and_stays_below_half_of_the_wait() -> None:
    """20,000 tokens are worth a quarter of the wait: 30 / 2 * 20,000 / 40,000 = 7.5 s."""
    admission = Line().admission
    assert admission.handicap(0) == 0
    assert admission.handicap(20_000) == pytest.approx(7.5)
    assert admission.handicap(10**12) < WAIT / 2
    costs = [0, 1, 10, 1000, 10**5, 10**8]
    assert sorted(costs, key=admission.handicap) == costs


async def test_a_key_has_a_limit_of_its_own() -> None:
    """Running and waiting count; another key, or none, is not touched; places come back."""
    line = Line(per_key=2, places=10)
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(line.admission.place(key="a"))
        with pytest.raises(Overloaded, match="this key may have 2"):
            await held.enter_async_context(line.admission.place(key="a"))
        for key in ("b", "", "", ""):
            await held.enter_async_context(line.admission.place(key=key))
    async with line.admission.place(key="a"):
        assert line.admission.running == 1
    turned_away = line.metrics.registry.get_sample_value("mcts_searches_turned_away_total", {"reason": "key_limit"})
    assert turned_away == 1


async def test_who_is_turned_away_is_told_when_a_place_is_likely() -> None:
    """Mean time that a place is held, times those before you, over the places: never below 1 s, never above 60 s."""
    line = Line(queue=0)
    for _ in range(200):
        async with line.admission.place():
            line.now += 20
    async with line.admission.place():
        with pytest.raises(Overloaded) as refused:
            await line._search("x", 0)
    assert refused.value.retry_after == pytest.approx(20, rel=0.01)
    for _ in range(200):
        async with line.admission.place():
            line.now += 1000
    async with line.admission.place():
        with pytest.raises(Overloaded) as refused:
            await line._search("x", 0)
    assert refused.value.retry_after == 60


@pytest.mark.parametrize("moment", range(4))
async def test_a_place_given_to_one_who_leaves_goes_to_the_next(moment: int) -> None:
    """Cancelling a waiter just before, or just after, its place came loses no place."""
    line = Line()
    async with line.admission.place():
        first, second = await line.come("first", 0, 0), await line.come("second", 0, 1)
        if moment == 0:
            first.cancel()
    for _ in range(moment - 1):
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert line.order[-1] == "second"
    assert (line.admission.running, line.admission.waiting) == (0, 0)


class Calls:
    """Calls through a gate, in the order in which they were let through."""

    def __init__(self, most: int | None) -> None:
        self.gate, self.order = Gate(most), list[str]()
        self.open = self.most = 0

    async def call(self, search: str) -> None:
        """One call of a search."""
        async with self.gate.passed(search):
            self.open += 1
            self.most = max(self.most, self.open)
            self.order.append(search)
            try:
                await asyncio.sleep(0)
            finally:
                self.open -= 1


async def test_searches_take_turns_at_the_engine() -> None:
    """A wide search that came first does not make a narrow one wait for all of its calls."""
    calls = Calls(2)
    await asyncio.gather(*(calls.call(name) for name in ["wide"] * 8 + ["narrow"] * 2))
    assert calls.most == 2
    assert calls.order.index("narrow") == 3  # two are open, then one of each search that waits
    assert sorted(calls.order[:6]) == ["narrow"] * 2 + ["wide"] * 4
    assert calls.gate.waiting == 0


async def test_without_a_limit_every_call_goes_at_once() -> None:
    """The engine's own batching does the rest."""
    calls = Calls(None)
    await asyncio.gather(*(calls.call("a") for _ in range(50)))
    assert calls.most == 50


@pytest.mark.parametrize("moment", range(4))
async def test_a_cancelled_call_gives_its_turn_away(moment: int) -> None:
    """While it waits, or as its turn comes: the others go on, and as many as before may be open."""
    calls = Calls(1)
    tasks = [asyncio.create_task(calls.call(name)) for name in ("a", "b", "c")]
    for _ in range(moment):
        await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert calls.order[-1] == "c"
    assert calls.gate.waiting == 0
    await calls.call("d")
    assert calls.most == 1
