"""Answers compared by math-verify itself, in its real process, which all tests here share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mcts.result import Candidate
from mcts.strategies.adaptive import RunningVote
from mcts.votes import elect
from reward.answers import StandardAnswers
from reward.rules import ExactAnswer
from reward.verifier import Verifier
from tests.reward.fakes import path

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader() -> AsyncIterator[StandardAnswers]:
    """A reader whose worker is up. It is patient: the machine may be busy."""
    made = StandardAnswers(verifier=Verifier(seconds=2.0, patience=60.0))
    assert made.verifier is not None
    assert await made.verifier.same("x + 1", "1 + x")
    yield made
    await made.close()


async def same(reader: StandardAnswers, gold: str, answer: str) -> bool:
    """Whether two answers are grouped together."""
    return await reader.group([gold, answer]) == [0, 0]


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"),
        ("(x+1)^2", "x^2+2x+1"),
        ("x(x+1)", "x²+x"),
        (r"\{1,2\}", r"\{2, 1\}"),
        ("[0,1)", r"\left[0, \frac{2}{2}\right)"),
        ("(-∞, 3]", r"(-\infty, \sqrt{9}]"),
        (r"(-\infty,0)\cup(0,\infty)", r"(0,\infty) \cup (-\infty,0)"),
        (r"2\sqrt{3}+1", r"1+\sqrt{12}"),
        (r"\sqrt{4}", "2"),
        ("2", r"$\sqrt{4}$"),
        ("2^{10}", "1024"),
        (r"\pi/2", r"\frac{\pi}{2}"),
        ("1 1/2", "3/2"),
        ("1e5", "100000"),
        ("y = 2x+1", "2x - y + 1 = 0"),
        ("x > 2", "2 < x"),
        (r"x=1 \text{ or } x=2", "x=2, x=1"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\\frac{4}{2}\end{pmatrix}"),
        (r"5\text{ cm}", "5"),
        (r"\sqrt{2}\text{ cm}", r"\frac{2}{\sqrt{2}}\text{ cm}"),
        (r"\sqrt{2}", "1.41421356"),
        ("50%", "1/2"),
    ],
)
async def test_the_same_written_differently(reader: StandardAnswers, gold: str, answer: str) -> None:
    """Roots, powers, products, sets, intervals, equations, matrices, units, decimals to six places."""
    assert await same(reader, gold, answer)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("x+1", "x-1"),
        (r"\sqrt{2}", r"\sqrt{3}"),
        (r"\sqrt{2}", "1.41"),
        ("(1,2)", "(2,1)"),
        ("[0,1)", "[0,1]"),
        (r"\{1,2\}", r"\{1,3\}"),
        ("x > 2", "x < 2"),
        ("3y = 7x", "3z = 7x"),
        ("x + 2t", "x + 2"),
        ("2s", "2t"),
        (r"\sqrt{4}\text{ cm}", r"2\text{ m}"),
        ("1 1/2", "1"),
        ("x + 1 +", "1 + x"),
        (r"\frac{1", "1^1"),
        ("x)(+1", "1+x"),
        (r"\frac{1}{0}", r"\frac{2}{0}"),
        (r"\unknown{2}", "1+1x"),
    ],
)
async def test_what_only_looks_alike_differs(reader: StandardAnswers, gold: str, answer: str) -> None:
    """Order, ends of intervals, letters behind numbers, units, mixed numbers, broken notation, nonsense."""
    assert not await same(reader, gold, answer)


async def test_the_order_of_arguments_counts(reader: StandardAnswers) -> None:
    """math-verify finds the gold x ≤ 3 in (-∞, 3], and not the other way round: whichever was found first is gold."""
    assert await same(reader, r"x \le 3", r"(-\infty, 3]")
    assert not await same(reader, r"(-\infty, 3]", r"x \le 3")
    assert reader.verifier is not None
    assert reader.verifier.known(r"x \le 3", r"(-\infty, 3]") is True
    assert reader.verifier.known(r"(-\infty, 3]", r"x \le 3") is False


async def test_the_right_answer_is_gold(reader: StandardAnswers) -> None:
    """The rule exact answer asks whether what is expected is found in the text, in this order."""
    texts = [r"so \boxed{(-\infty, 3]}", r"\boxed{x < 3}", r"\boxed{3 \ge x}", "no idea", r"\boxed{你好 🙂}"]
    scores = await ExactAnswer(r"x \le 3", reader).score([path(text) for text in texts])
    assert [score.value for score in scores] == [1, 0, 1, 0, 0]
    reverse = await ExactAnswer(r"(-\infty, 3]", reader).score([path(r"\boxed{x \le 3}")])
    assert reverse[0].value == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [("2", "9^{9^{9^{9}}}"), ("9^{9^{9^{9}}}", "2"), (r"10^{10^{10}}", "x/y"), ("x+1", "100000000!"),
     (r"\sum_{n=1}^{10^{9}} n^n", "3x")],
)  # fmt: skip
async def test_a_hostile_expression_costs_its_worker_and_nothing_else(one: str, other: str) -> None:
    """Each would be computed for hours: the loop goes on, the worker is replaced, the next question is answered."""
    hostile = Verifier(seconds=0.5, patience=60.0)
    assert await hostile.same("x + 1", "1 + x")
    assert hostile._worker is not None
    first = await hostile._worker
    assert first is not None
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    assert await StandardAnswers(verifier=hostile).group([one, other]) == [0, 1]
    ticking.cancel()
    assert ticks >= 20  # of 50 in half a second
    with pytest.raises(ProcessLookupError):
        os.kill(first.pid, 0)
    assert await hostile.same("(x+1)^2", "x^2+2x+1")
    await hostile.close()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
async def test_a_worker_takes_only_so_much_memory(reader: StandardAnswers) -> None:
    """Its address space ends at 1 GiB, and nothing that it writes becomes a file."""
    assert reader.verifier is not None
    assert reader.verifier._worker is not None
    worker = await reader.verifier._worker
    assert worker is not None
    limits = (await asyncio.to_thread(Path(f"/proc/{worker.pid}/limits").read_text)).splitlines()
    soft = {line[:26].strip(): line[26:].split()[0] for line in limits}
    assert (soft["Max address space"], soft["Max file size"]) == (str(2**30), "0")


async def test_answers_of_all_kinds_are_grouped(reader: StandardAnswers) -> None:
    """Chinese, emoji, code, prose, nothing, broken notation: equal text together, everything else apart, no error."""
    answers = ["你好", "答案是 4", "🙂", "🙂🙃", "print('x+1')", "def f(x): return x+1", "", "Paris", "paris", "x+",
               "{{", "\\", "\\frac", "$$", "^^", "=", "x==x", "<b>", "a and b", "\x00", "١٢", "½", "1🙂",
               "你好"]  # fmt: skip
    groups = await reader.group(answers)
    together = {answers[i]: answers[first] for i, first in enumerate(groups) if i != first}
    assert together == {"paris": "Paris", "$$": "", "你好": "你好"}


def candidate(answer: str, reward: float) -> Candidate:
    """A finished candidate."""
    return Candidate(path(answer), answer, reward)


async def test_the_n_best_answers_are_distinct_by_algebra(reader: StandardAnswers) -> None:
    """Three ways to write √2/2 are one winner with the sum of their rewards; the second is another answer."""
    given = [(r"\frac{\sqrt{2}}{2}", 0.3), ("x+1", 0.5), (r"\frac{1}{\sqrt{2}}", 0.4), ("1+x", 0.25), ("7", 0.1),
             (r"\sqrt{\frac{1}{2}}", 0.2)]  # fmt: skip
    election = await elect([candidate(*each) for each in given], "weighted", 3, reader.for_search())
    assert [winner.answer for winner in election.winners] == [r"\frac{1}{\sqrt{2}}", "x+1", "7"]
    assert [(tally.weight, tally.count) for tally in election.tallies] == [
        (pytest.approx(0.9), 3),
        (pytest.approx(0.75), 2),
        (0.1, 1),
    ]


async def test_a_running_vote_counts_equivalent_answers_together(reader: StandardAnswers) -> None:
    """Four of seven are the same by algebra: decided, though no text came twice. Not before the fourth is compared."""
    vote = RunningVote(7, 1, 1.0, reader.for_search())
    decided = []
    for answer in ("(x+1)^2", "x^2+2x+1", "x^2", "x(x+2)+1", "1+2x+x^2"):
        await vote.add(candidate(answer, 1.0))
        decided.append(vote.decided)
    # After three against one with three to come the other could still win; after four, no more.
    assert decided == [False, False, False, False, True]
