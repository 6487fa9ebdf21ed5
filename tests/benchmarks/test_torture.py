"""The shorter form of ``make torture``: on the toy engine, with little of everything, and with points that fail."""

from __future__ import annotations

import random

import pytest
from rich.console import Console

from benchmarks.torture.__main__ import FLAGS, TRIALS, run
from benchmarks.torture.faults import stopped
from benchmarks.torture.report import Point, percentile, print_points, tally
from benchmarks.torture.trials import Size, deadlines, leaving, overload

SMALL = Size(seconds=2.0, leavers=20, at_once=20, searches=12, per_deadline=1, tokens=8, long=16)

TIMED = {"median of those admitted", "memory afterwards"}
"""Points that say something only of a machine with nothing else to do."""


def check(points: list[Point]) -> None:
    """Every point holds, but for those of time and memory, which a busy machine may spoil."""
    judged = [point for point in points if point.what not in TIMED and "overshoot" not in point.what]
    failing = [point for point in judged if point.holds is False and "idle after" not in point.what]
    assert failing == []
    assert any(point.holds for point in judged)


@pytest.mark.parametrize("trial", [overload, leaving, stopped, deadlines])
async def test_the_toy_server_stands_it(trial: object) -> None:
    """Overload, clients that leave, SIGTERM, deadlines: answers or clear errors, and nothing is left."""
    check(await trial(FLAGS["scripted"], SMALL, random.Random(1)))  # type: ignore[operator]


async def test_a_trial_that_breaks_off_is_a_point_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others still run."""

    async def broken(*_: object) -> list[Point]:
        raise RuntimeError("no server")

    async def whole(*_: object) -> list[Point]:
        return [Point("whole", "what", "1", "1", True)]

    monkeypatch.setitem(TRIALS, "overload", broken)
    monkeypatch.setitem(TRIALS, "deadlines", whole)
    points = await run(["overload", "deadlines"], (), SMALL, 0, Console(quiet=True))
    assert [point.holds for point in points] == [False, True]
    assert "RuntimeError: no server" in points[0].measured


def test_the_table_says_what_holds_and_what_fails() -> None:
    """One row a point, its trial named once."""
    console = Console(width=100)
    with console.capture() as text:
        print_points([Point("a", "x", "1", "2", False), Point("a", "y", "3", "4", True), Point("a", "z", "5")], console)
    lines = text.get().splitlines()
    assert any("FAILS" in line and "x" in line for line in lines)
    assert any("holds" in line and "y" in line for line in lines)


def test_percentiles_are_values_that_occurred() -> None:
    """Of 1 to 100, the 99th is 99; of few values it is the largest."""
    assert percentile([float(n) for n in range(1, 101)], 0.99) == 99
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2
    assert str(percentile([], 0.5)) == "nan"


def test_outcomes_are_counted() -> None:
    """The most frequent first."""
    assert tally(["answer", "overloaded", "answer"]) == "2 × answer, 1 × overloaded"
