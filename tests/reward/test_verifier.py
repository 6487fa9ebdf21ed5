"""The verifier around a scripted worker: order, cache, limits, workers that hang, die or never come up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engine.virtual_time import run_virtually
from reward.answers import StandardAnswers
from reward.verifier import SearchVerifier, Verifier

# Says that "x+1" and "1+x" are the same in this order only, sleeps forever over "9", ends over "8", babbles over "7",
# runs out of processor time over "6".
SCRIPT = """
import json, os, signal, sys, time
def tell(value): print(json.dumps(value), flush=True)
tell({"ready": True})
for line in sys.stdin:
    asked = json.loads(line)
    with open(LOG, "a") as log: log.write(json.dumps([asked["gold"], asked["answer"], os.getpid()]) + "\\n")
    if "9" in asked["answer"]: time.sleep(600)
    if "8" in asked["answer"]: os._exit(3)
    if "6" in asked["answer"]: os.kill(os.getpid(), signal.SIGPROF)
    if "7" in asked["answer"]: print("Traceback", flush=True)
    tell({"same": (asked["gold"], asked["answer"]) == ("x+1", "1+x")})
"""


class Scripted:
    """A verifier on a scripted worker, and what the worker was asked."""

    def __init__(self, folder: Path, script: str = SCRIPT, **limits: Any) -> None:
        self.log = folder / "asked"
        program = folder / "worker.py"
        program.write_text(f"LOG = {str(self.log)!r}\n{script}", encoding="utf-8")
        self.verifier = Verifier(**{"patience": 20.0, **limits}, program=program)
        self.reader = StandardAnswers(verifier=self.verifier)

    @property
    def entries(self) -> list[list[Any]]:
        """Gold, answer and process id of every question that reached a worker."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Gold and answer of every question."""
        return [(gold, answer) for gold, answer, _ in self.entries]

    async def pid(self) -> int:
        """The process id of the worker that is running or starting."""
        assert self.verifier._worker is not None
        worker = await self.verifier._worker
        assert worker is not None
        return worker.pid


@pytest_asyncio.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[Scripted]:
    """A verifier on the script above."""
    made = Scripted(tmp_path)
    yield made
    await made.verifier.close()


def alive(pid: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextlib.asynccontextmanager
async def ticking(step: float = 0.01) -> AsyncIterator[list[float]]:
    """Notes, every ``step`` seconds, the processor time that this process spent since the tick before."""
    spent: list[float] = []

    async def tick() -> None:
        last = time.process_time()
        while True:
            await asyncio.sleep(step)
            now = time.process_time()
            spent.append(now - last)
            last = now

    task = asyncio.create_task(tick())
    yield spent
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# The cheap path


async def test_values_and_text_never_reach_the_worker(scripted: Scripted) -> None:
    """Numbers are exact, equal text is equal, prose is no mathematics: no process is even started."""
    answers = ["1/2", "0.5", "3", "yes", "Yes.", "no", "你好", "🙂", "print(1)", "AB", "BA", ""]
    assert await scripted.reader.group(answers) == [0, 0, 2, 3, 3, 5, 6, 7, 8, 9, 10, 11]
    assert await scripted.reader.group(["x+1", "$x + 1$", "no"]) == [0, 0, 2]
    assert scripted.verifier._worker is None


async def test_without_a_verifier_algebra_is_not_compared() -> None:
    """The setting ``exact``."""
    assert await StandardAnswers().group(["x+1", "1+x"]) == [0, 1]


# Order and cache


async def test_the_first_of_each_group_is_gold_and_groups_are_asked_in_their_order(scripted: Scripted) -> None:
    """Two numbers, 2 and 5, need no question; 1+x joins the group of x+1 and is nobody's gold."""
    assert await scripted.reader.group(["x^2", "x+1", "2", "1+x", "5"]) == [0, 1, 2, 1, 4]
    assert scripted.asked == [
        ("x^2", "x+1"),
        ("x^2", "2"),
        ("x+1", "2"),
        ("x^2", "1+x"),
        ("x+1", "1+x"),
        ("x^2", "5"),
        ("x+1", "5"),
    ]


async def test_the_order_of_the_answers_is_the_order_of_the_question(scripted: Scripted) -> None:
    """This worker finds x+1 in 1+x, and not the other way round, as math-verify does with some."""
    assert await scripted.reader.group(["x+1", "1+x"]) == [0, 0]
    assert await scripted.reader.group(["1+x", "x+1"]) == [0, 1]
    assert scripted.asked == [("x+1", "1+x"), ("1+x", "x+1")]


async def test_a_pair_is_asked_about_once(scripted: Scripted) -> None:
    """By whichever search, one after the other or at once; a pair that differs is remembered too."""
    for reader in (scripted.reader.for_search(), scripted.reader.for_search(), scripted.reader):
        assert await reader.group(["x+1", "1+x", "y+1"]) == [0, 0, 2]
    assert scripted.asked == [("x+1", "1+x"), ("x+1", "y+1")]
    at_once = (scripted.reader.for_search().group(["z+1", "1+z"]) for _ in range(5))
    assert await asyncio.gather(*at_once) == [[0, 1]] * 5
    assert scripted.asked[2:] == [("z+1", "1+z")]


async def test_the_cache_forgets_what_was_not_used_for_longest(tmp_path: Path) -> None:
    """With room for two, the third pair drives out the one that nobody asked for since."""
    made = Scripted(tmp_path, remembered=2)
    for answer in ("1", "2", "1", "3"):
        await made.verifier.same("x", answer)
    assert [made.verifier.known("x", answer) for answer in "123"] == [False, None, False]
    assert len(made.asked) == 3
    await made.verifier.close()


# Workers that hang, die or never come up


async def test_a_worker_that_hangs_is_killed_and_replaced_while_the_loop_goes_on(tmp_path: Path) -> None:
    """The pair counts as different for now; the next question is answered by another process."""
    made = Scripted(tmp_path)
    assert await made.verifier.same("x+1", "1+x")
    first = await made.pid()
    made.verifier._patience = 0.3
    async with ticking() as ticks:
        assert await made.reader.group(["x+1", "9x"]) == [0, 1]
    assert len(ticks) >= 10  # of 30 in 0.3 s
    assert max(ticks) < 0.2
    assert not alive(first)
    made.verifier._patience = 20.0
    assert not await made.verifier.same("1+x", "x+1")
    assert await made.pid() != first
    await made.verifier.close()


async def test_only_what_is_too_hard_on_any_machine_is_remembered(scripted: Scripted) -> None:
    """A pair that took too much processor time is not asked about again; one that was waited for in vain is."""
    for _ in range(2):
        assert not await scripted.verifier.same("x+1", "6x")
        scripted.verifier._patience = 0.3
        assert not await scripted.verifier.same("x+1", "9x")
        scripted.verifier._patience = 20.0
    assert scripted.asked == [("x+1", "6x"), ("x+1", "9x"), ("x+1", "9x")]
    assert (scripted.verifier.known("x+1", "6x"), scripted.verifier.known("x+1", "9x")) == (False, None)


async def test_others_are_answered_after_one_that_hangs(tmp_path: Path) -> None:
    """Questions of other searches wait for their turn, and for the new worker."""
    made = Scripted(tmp_path)
    await made.verifier.same("x", "1")
    made.verifier._patience = 1.0
    hostile = asyncio.create_task(made.reader.group(["x+1", "9x"]))
    await asyncio.sleep(0.05)
    made.verifier.warm()  # of no effect: there is one
    assert await asyncio.gather(hostile, made.reader.group(["x+1", "1+x"])) == [[0, 1], [0, 0]]
    await made.verifier.close()


async def test_a_worker_that_was_killed_meanwhile_is_replaced_and_the_pair_asked_again(scripted: Scripted) -> None:
    """Whoever kills it (the kernel, short of memory), no verdict is lost."""
    await scripted.verifier.same("x", "1")
    first = await scripted.pid()
    os.kill(first, signal.SIGKILL)
    assert await scripted.reader.group(["x+1", "1+x"]) == [0, 0]
    assert await scripted.pid() != first


async def test_a_worker_that_dies_of_a_pair_is_given_it_twice(scripted: Scripted) -> None:
    """Then the pair counts as different, and the next is asked."""
    assert await scripted.reader.group(["x+1", "8x", "1+x"]) == [0, 1, 0]
    assert scripted.asked == [("x+1", "8x"), ("x+1", "8x"), ("x+1", "1+x")]


async def test_a_worker_that_babbles_is_given_up(scripted: Scripted) -> None:
    """A line that is no reply: the process is not trusted with another question."""
    scripted.verifier._patience = 0.5
    assert await scripted.reader.group(["x+1", "7x"]) == [0, 1]
    scripted.verifier._patience = 20.0
    assert await scripted.reader.group(["x+1", "1+x"]) == [0, 0]
    assert len({pid for _, _, pid in scripted.entries}) == 2


@pytest.mark.parametrize("script", ["raise SystemExit(1)", "print('hello')", "1 +"])
async def test_a_worker_that_never_comes_up_leaves_the_exact_comparison(
    tmp_path: Path, script: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Three tries, then one line says that no more are made; no search fails."""
    made = Scripted(tmp_path, script)
    for _ in range(4):
        assert await made.reader.group(["x+1", "1+x", "1/2", "0.5"]) == [0, 1, 2, 2]
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["math-verify does not start: from now on answers are compared exactly only"]
    await made.verifier.close()


async def test_a_missing_interpreter_is_no_error_either(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's refusal to start a process is one more worker that does not come up."""
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert await scripted.reader.group(["x+1", "1+x"]) == [0, 1]


async def test_nothing_of_ours_reaches_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the environment are not for a process that reads strangers' text."""
    monkeypatch.setenv("ESPALIER_API_KEY", "secret")
    spy = 'import os; open(LOG, "w").write(repr(dict(os.environ))); print(\'{"ready": true}\', flush=True); input()'
    made = Scripted(tmp_path, spy)
    made.verifier.warm()
    await made.pid()
    assert "PATH" in made.log.read_text(encoding="utf-8")
    assert "secret" not in made.log.read_text(encoding="utf-8")
    await made.verifier.close()


async def test_a_search_that_is_cancelled_leaves_the_worker_alone(scripted: Scripted) -> None:
    """What it asked is decided all the same, for the next one that asks."""
    await scripted.verifier.same("x", "1")
    worker = await scripted.pid()
    search = asyncio.create_task(scripted.reader.group(["x+1", "1+x"]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search
    assert await scripted.verifier.same("x+1", "1+x")
    assert scripted.asked.count(("x+1", "1+x")) == 1
    assert await scripted.pid() == worker


async def test_closing_ends_the_worker_whatever_it_is_at(scripted: Scripted) -> None:
    """A comparison under way is over with no verdict; later ones are not made, and no process is started."""
    await scripted.verifier.same("x", "1")
    worker = await scripted.pid()
    hanging = asyncio.create_task(scripted.verifier.same("x", "9"))
    while len(scripted.asked) < 2:
        await asyncio.sleep(0.01)
    await scripted.verifier.close()
    assert await hanging is False
    assert not alive(worker)
    assert await scripted.reader.group(["x+1", "1+x"]) == [0, 1]
    assert scripted.verifier._worker is None


async def test_closing_while_the_worker_starts_leaves_no_process(tmp_path: Path) -> None:
    """Nor a task."""
    made = Scripted(tmp_path, 'import os, time; open(LOG, "w").write(str(os.getpid())); time.sleep(600)')
    made.verifier.warm()
    while not made.log.exists() or not made.log.read_text(encoding="utf-8"):
        await asyncio.sleep(0.01)
    await made.verifier.close()
    assert not alive(int(made.log.read_text(encoding="utf-8")))


# The limits of one search


class Slow(Verifier):
    """Says that everything is the same, after a second of virtual time."""

    asked = 0

    async def same(self, gold: str, answer: str) -> bool:  # noqa: ARG002 - the port's signature
        """Whether they are the same."""
        self.asked += 1
        await asyncio.sleep(1.0)
        return True


def test_a_search_waits_for_so_long_in_all() -> None:
    """With 2.5 s, two pairs are decided, the third is given up half way, and the fourth is not asked about.

    The first verdict stays, and costs nothing again.
    """

    async def main() -> tuple[list[bool], float, int]:
        search = SearchVerifier(verifier := Slow(), seconds=2.5)
        verdicts = [await search.same("x", answer) for answer in ("1", "2", "3", "4", "1")]
        return verdicts, asyncio.get_running_loop().time(), verifier.asked

    verdicts, took, asked = run_virtually(main)
    assert (verdicts, asked) == ([True, True, False, False, True], 3)
    assert took == pytest.approx(2.5)


def test_waiting_at_once_is_counted_once() -> None:
    """Four comparisons that one search begins together take their turns: the limit is on its own time."""

    async def main() -> tuple[list[bool], float]:
        search = SearchVerifier(Slow(), seconds=2.5)
        verdicts = await asyncio.gather(*(search.same("x", answer) for answer in "1234"))
        return verdicts, asyncio.get_running_loop().time()

    verdicts, took = run_virtually(main)
    assert verdicts == [True, True, False, False]
    assert took == pytest.approx(2.5)


def test_a_search_asks_about_so_many_pairs() -> None:
    """What is beyond counts as different, unless somebody else's search has had it decided."""

    async def main() -> list[bool]:
        verifier = Slow()
        search = SearchVerifier(verifier, pairs=2)
        verifier._remember(("x", "4"), verdict=True)
        return [await search.same("x", answer) for answer in "1234"]

    assert run_virtually(main) == [True, True, False, True]


def test_no_verdict_changes_within_a_search() -> None:
    """A pair that was given up stays different for this search, whatever others learn about it; so do its groups."""

    async def main() -> list[bool]:
        verifier = Slow()
        search = SearchVerifier(verifier, seconds=0.5)
        before = await search.same("x", "1")
        verifier._remember(("x", "1"), verdict=True)
        return [before, await search.same("x", "1"), await SearchVerifier(verifier).same("x", "1")]

    assert run_virtually(main) == [False, False, True]


async def test_each_search_has_limits_of_its_own(scripted: Scripted) -> None:
    """A reader of one search keeps them over all its calls; the server's reader gives each call new ones."""
    search = scripted.reader.for_search()
    assert search._search is not None
    search._search._pairs = 1
    assert await search.group(["x+1", "y+1"]) == [0, 1]
    assert await search.group(["x+1", "1+x"]) == [0, 1]
    assert await scripted.reader.for_search().group(["x+1", "1+x"]) == [0, 0]
