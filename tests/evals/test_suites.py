"""Rules of the suites: every run is what it says, on a real server with a scripted engine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward
from evals.client import ask_all
from evals.family import BUDGETS, ENTRIES, Entry
from evals.runs import Run
from evals.suites import GREEDY, SAMPLE, SHARES, SUITES
from mcts.ports import Path
from mcts.strategies import STRATEGIES
from reward.answers import StandardAnswers
from tests.mcts.dialogues import Dialogue
from tests.server.service import QUESTION, Service, backend, serving

CHAIN = Dialogue([("17", 1.0)], {"17": [("42", 1.0)]}, {"17": [-20], "42": [60]})


def worth(path: Path) -> float:
    """Another reward for every text, so that votes disagree."""
    return (sum(map(ord, path.text)) % 89) / 88


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A server on the scripted engine with every reward that the suites name."""
    engine = ScriptedEngine()
    rewards = {name: ScriptedReward(worth) for name in ("prm", "confidence", "self_evaluation", "judge")}
    async with serving(engine, made=backend(engine, rewards=rewards)) as running:
        yield running


async def errors_of(service: Service, runs: list[Run]) -> list[tuple[str, str]]:
    """The runs whose replies are not what was asked, and why."""
    found: list[tuple[str, str]] = []
    for run in runs:
        asked = ask_all(service.client, run, [QUESTION], concurrency=1, answers=StandardAnswers())
        found += [(run.name, reply.error) async for reply in asked if reply.error]
    return found


@pytest.mark.parametrize("suite", ["main", "modes", "quarter"])
async def test_every_run_is_answered_as_asked(service: Service, suite: str) -> None:
    """The server accepts it, searches by the strategy and reward it names, and its votes can be taken again."""
    spent = {SAMPLE: 40.0, GREEDY: 10.0, "uct prm 2": 30.0, "uct confidence 2": 30.0}
    runs = [plan(spent) for plan in SUITES[suite]("abacus", 2)]
    assert await errors_of(service, [run for run in runs if run.budget < 64]) == []


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.label or entry.strategy} {entry.reward}")
async def test_every_strategy_is_answered_as_asked(service: Service, entry: Entry) -> None:
    """Each strategy of the family at its smallest budget."""
    if entry.strategy in {"self_refine", "mctsr", "ab_mcts"}:
        service.engine.script = CHAIN.script
    assert await errors_of(service, [entry.plans("abacus")[0]({})]) == []


def test_no_strategy_is_missing_from_the_family() -> None:
    """A strategy that is added to the registry must be measured."""
    measured = {plan({}).strategy for plan in SUITES["family"]("abacus", 32)}
    assert measured == set(STRATEGIES)


def test_all_runs_of_a_suite_have_names_of_their_own() -> None:
    """Names are files, and what later runs are sized by."""
    spent = {SAMPLE: 40.0, "uct prm 32": 300.0}
    for suite, plans in SUITES.items():
        names = [plan(spent).name for plan in plans("abacus", 32)]
        assert len(set(names)) == len(names), suite
    assert set(SHARES) == set(SUITES)


def test_samples_are_as_many_as_cost_the_same_tokens() -> None:
    """4 samples cost 200 tokens, so 3,120 tokens are 62.4 samples: 62."""
    run = SUITES["main"]("abacus", 32)[3]({SAMPLE: 200.0, "uct prm 32": 3120.0})
    assert run.name == "best of 62 prm"
    assert run.body["search"]["samples"] == 62


def test_the_family_has_three_budgets() -> None:
    """All strategies that have a number to set get the same three, but for those that the judge scores."""
    sized = {(run.label, run.reward): [] for run in _family() if run.budget}
    for run in _family():
        if run.budget:
            sized[run.label, run.reward].append(run.budget)
    assert sized.pop(("best_of_n", "judge")) == list(BUDGETS[:2])
    assert set(map(tuple, sized.values())) == {BUDGETS}


def _family() -> list[Run]:
    return [plan({}) for plan in SUITES["family"]("abacus", 32)]
