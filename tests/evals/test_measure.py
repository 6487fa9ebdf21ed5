"""Rules of measuring: figures by hand, and runs that are not measured twice."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from evals.client import Reply
from evals.figures import figures_of
from evals.measure import Bench, Measured, measure
from evals.report import page
from evals.runs import Plan, fixed, run
from evals.store import Saved, Store, fingerprint, source_mark
from evals.suites import SUITES
from evals.verdicts import main_verdicts
from models.problems import generate
from reward.answers import StandardAnswers
from tests.evals.rows import candidate, reply

RECORDS = list(generate("word", 2, 3))
RIGHT = f"\\boxed{{{RECORDS[0]['answer']}}}"
PLANS = [fixed(run("uct 4", "abacus", "uct", reward="prm", votes=("weighted", "max_value"), budget=4))]


def test_figures_under_the_own_vote_come_first_and_errors_are_wrong() -> None:
    """Accuracy, tokens and calls of three replies, one of which met an error, under two votes."""
    records = [RECORDS[0]] * 3
    wrong = {"weighted": "no", "max_value": RIGHT}
    replies = [
        Reply(0, RIGHT, 100, 4, 1.0, "simulations", "weighted", {"weighted": RIGHT, "max_value": RIGHT}),
        Reply(1, "no", 200, 6, 3.0, "simulations", "weighted", wrong),
        Reply(2, RIGHT, 0, 2, 2.0, "simulations", "weighted", wrong, error="asked for uct, searched by direct"),
    ]
    own, other = figures_of(PLANS[0]({}), "word", records, replies)
    assert (own.vote, own.own, own.right, own.errors) == ("weighted", True, (True, False, False), 1)
    assert (own.accuracy, own.tokens, own.engine_calls, own.seconds) == (pytest.approx(1 / 3), 100, 4, 2)
    assert (other.vote, other.own, other.right) == ("max_value", False, (True, True, False))


def test_costs_are_means_over_the_replies_that_came() -> None:
    """A question that got no reply was wrong and cost nothing known; where none got one, the costs are 0."""
    lost = Reply(1, "", 0, 0, 60.0, "", error="503")
    replies = [Reply(0, RIGHT, 100, 4, 1.0, "simulations", "weighted"), lost]
    (figures,) = figures_of(run("uct 4", "abacus", "uct"), "word", RECORDS, replies)
    assert (figures.accuracy, figures.tokens, figures.engine_calls, figures.seconds) == (0.5, 100, 4, 1)
    assert not figures.failed
    (figures,) = figures_of(run("uct 4", "abacus", "uct"), "word", RECORDS, [lost, lost])
    assert (figures.accuracy, figures.tokens, figures.seconds, figures.failed) == (0, 0, 0, True)


async def test_a_suite_whose_every_request_fails_is_measured_to_its_end(tmp_path: Path) -> None:
    """Runs are sized by others that cost nothing."""
    transport = httpx.MockTransport(lambda _: httpx.Response(503, text="not ready"))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        bench = Bench(client, "s", 2, Store(tmp_path, resume=True), StandardAnswers(), Console(file=io.StringIO()))
        found = await measure(bench, SUITES["main"]("abacus", 2), {"word": RECORDS})
    assert all(figures.failed for figures in found.figures)
    assert main_verdicts(found.figures) == []
    assert page({"main": found}, "today", None)


class Counted:
    """A server that answers the first of ``RECORDS`` rightly and counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, _: httpx.Request) -> httpx.Response:
        """Answers."""
        self.asked += 1
        return httpx.Response(200, json=reply(RIGHT, [candidate(RIGHT, str(RECORDS[0]["answer"]), 0.5)]))


async def measured(
    server: Counted, folder: Path, *, resume: bool, mark: str = "a", count: int = 2, plans: Sequence[Plan] = PLANS
) -> Measured:
    """Measures plans."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(server), base_url="http://test") as client:
        bench = Bench(client, mark, 2, Store(folder, resume), StandardAnswers(), Console(file=io.StringIO()))
        return await measure(bench, plans, {"word": RECORDS[:count]})


async def test_a_complete_run_is_not_measured_again(tmp_path: Path) -> None:
    """With resume the same run is read from disk, with the same figures and seconds."""
    server = Counted()
    first = await measured(server, tmp_path, resume=True)
    assert (server.asked, first.figures[0].accuracy) == (2, 0.5)
    assert await measured(server, tmp_path, resume=True) == first
    assert server.asked == 2


async def test_without_resume_everything_is_measured(tmp_path: Path) -> None:
    """Old replies are not taken unless asked for."""
    server = Counted()
    await measured(server, tmp_path, resume=False)
    await measured(server, tmp_path, resume=False)
    assert server.asked == 4


async def test_another_server_or_other_problems_are_measured_anew(tmp_path: Path) -> None:
    """The fingerprint holds the server's mark and the problems."""
    server = Counted()
    await measured(server, tmp_path, resume=True)
    await measured(server, tmp_path, resume=True, mark="b")
    await measured(server, tmp_path, resume=True, mark="b", count=1)
    assert server.asked == 2 + 2 + 1


def test_a_fingerprint_changes_with_the_request_and_the_load() -> None:
    """What is sent, and how much at the same time, both may change figures."""
    asked = run("uct 4", "abacus", "uct", reward="prm")
    given = fingerprint(asked, RECORDS, "s", 16)
    assert given == fingerprint(asked, RECORDS, "s", 16)
    other = fingerprint(replace(asked, body={"model": "b"}), RECORDS, "s", 16)
    assert len({given, other, fingerprint(asked, RECORDS, "s", 8)}) == 3


@pytest.mark.parametrize("change", [{"votes": ("majority",)}, {"strategy": "beam"}, {"reward": "confidence"}])
def test_a_fingerprint_changes_with_what_is_read_in_replies(change: dict[str, Any]) -> None:
    """What the reply must say, and votes: only the winners of those that were asked for are kept."""
    asked = run("uct 4", "abacus", "uct", reward="prm", votes=("weighted", "max_value"))
    assert fingerprint(asked, RECORDS, "s", 16) != fingerprint(replace(asked, **change), RECORDS, "s", 16)


async def test_votes_that_are_added_later_are_measured(tmp_path: Path) -> None:
    """A run that was complete without them is not."""
    server = Counted()
    await measured(server, tmp_path, resume=True)
    more = replace(PLANS[0]({}), votes=("weighted", "max_value", "majority"))
    found = await measured(server, tmp_path, resume=True, plans=[fixed(more)])
    assert server.asked == 4
    assert [row.accuracy for row in found.figures] == [0.5, 0.5, 0.5]


def test_a_run_with_errors_is_measured_again(tmp_path: Path) -> None:
    """What went wrong once is tried anew."""
    store = Store(tmp_path, resume=True)
    good = Reply(0, "x", 1, 1, 0.1, "simulations")
    store.save("word", "uct 4", "m", ["w-0"], Saved((good,), 1.5))
    assert store.load("word", "uct 4", "m") == Saved((good,), 1.5)
    store.save("word", "uct 4", "m", ["w-0"], Saved((Reply(0, "", 0, 0, 0.1, "", error="503"),), 1.5))
    assert store.load("word", "uct 4", "m") is None


def test_an_interrupted_write_leaves_nothing_to_resume(tmp_path: Path) -> None:
    """A run is on disk whole or not at all."""
    store = Store(tmp_path, resume=True)
    broken = Saved((Reply(0, "x", 1, 1, 0.1, "", recast={"weighted": object()}),), 1.0)  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        store.save("word", "uct 4", "m", ["w-0"], broken)
    assert store.load("word", "uct 4", "m") is None


def test_the_mark_of_the_sources_changes_with_weights_and_code_but_not_with_cards(tmp_path: Path) -> None:
    """Weights, configuration and Python files count; texts about them do not."""
    (tmp_path / "model.safetensors").write_bytes(b"1")
    (tmp_path / "README.md").write_text("a")
    first = source_mark([tmp_path])
    (tmp_path / "README.md").write_text("b")
    assert source_mark([tmp_path]) == first
    (tmp_path / "model.safetensors").write_bytes(b"2")
    second = source_mark([tmp_path])
    (tmp_path / "beam.py").write_text("x = 1")
    assert len({first, second, source_mark([tmp_path])}) == 3
