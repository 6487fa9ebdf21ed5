"""What must hold whatever the order of replies, whatever fails and whenever a search is cancelled."""

from __future__ import annotations

import asyncio
import random
from contextlib import nullcontext, suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.virtual_time import run_virtually
from mcts.budget import Budget
from mcts.errors import EngineCallFailed, EngineDead, EspalierError, NoAnswerInTime, RewardCallFailed
from mcts.events import AnswerText, BackedUp, NodeAdded, SearchFinished
from mcts.steps import StepRule
from mcts.strategies import STRATEGIES, Reflection, SamplingOptions, UctOptions
from mcts.strategies.cot import INSTRUCTION, instructed
from mcts.strategies.marco_o1 import MARCO_O1
from mcts.strategies.uct import uct
from mcts.tree import Node, Tree
from tests.mcts.integrity import problems
from tests.mcts.replay import replayed
from tests.mcts.toys import World, forest

SAMPLERS = ("direct", "cot", "majority", "best_of_n", "weighted_best_of_n", "cot_decoding")
THOROUGH = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def trees(monkeypatch) -> list[Tree]:
    """The trees of the searches that a test runs, which are not taken apart in the end."""
    made: list[Tree] = []

    def make(*args: Any) -> Tree:
        made.append(Tree(*args))
        return made[-1]

    monkeypatch.setattr(Tree, "dissolved", nullcontext)
    monkeypatch.setattr(import_module("mcts.strategies.uct"), "Tree", make)
    return made


def _options(draw: st.DrawFn) -> UctOptions:
    phrase = Reflection("L\n\n", tuple(forest().engine.tokenizer.encode("L\n\n")))
    if draw(st.integers(0, 4)) == 0:
        return replace(MARCO_O1, commit=draw(st.sampled_from([None, 2])))
    return UctOptions(
        width=draw(st.integers(1, 6)),
        branch=draw(st.integers(1, 4)),
        max_depth=draw(st.sampled_from([1, 3, 32])),
        selection=draw(st.sampled_from(["ucb1", "puct"])),
        step=StepRule(tokens=draw(st.sampled_from([None, 1, 2, 3]))),
        rollout=draw(st.sampled_from(["full", "none"])),
        expansion=draw(st.sampled_from(["sample", "top_tokens"])),
        widening=draw(st.sampled_from([0, 0.5, 1])),
        reflection=draw(st.sampled_from([None, phrase])),
        commit=draw(st.sampled_from([None, 1, 3])),
    )


@st.composite
def searches(draw: st.DrawFn) -> tuple[UctOptions, Budget, random.Random, float]:
    """Options, a budget, a source of accidents and how likely a call fails."""
    budget = Budget(
        simulations=draw(st.integers(1, 25)),
        tokens=draw(st.sampled_from([None, 1, 7, 40, 200])),
        seconds=draw(st.sampled_from([None, 0.5, 3.0, 10.0])),
    )
    return _options(draw), budget, random.Random(draw(st.integers(0, 2**32))), draw(st.sampled_from([0, 0, 0.1, 0.5]))


def _accident_prone(chance: random.Random, failing: float) -> World:
    """A forest whose calls take random times and fail at random."""
    errors = [EngineCallFailed("no"), EngineCallFailed("no"), EngineDead("gone")]
    where = forest(
        latency=lambda *_: chance.choice([0.0, 0.1, 1.0, chance.random()]),
        failure=lambda *_: chance.choice(errors) if chance.random() < failing else None,
    )
    assert where.reward is not None
    where.reward.latency = lambda _: chance.choice([0.0, 0.2])
    where.reward.failure = lambda _: RewardCallFailed("no") if chance.random() < failing / 3 else None
    return where


def _check(where: World, tree: Tree, budget: Budget) -> None:
    assert problems(tree) == []
    assert where.engine.open_calls == 0
    assert where.reward is not None
    assert where.reward.open_calls == 0
    assert budget.tokens is None or where.engine.generated_tokens <= budget.tokens
    assert replayed(where.events) == _drawn(tree.root)


def _drawn(node: Node) -> dict[str, Any]:
    """A tree in the form of ``replayed``; whether a node was terminal at birth is known from its events only."""
    return _Same(
        text=node.step.text if node.step else "",
        visits=node.visits,
        value=round(node.value_sum, 9),
        children=[_drawn(child) for child in node.children.values()],
    )


class _Same(dict):
    """Equal to a dictionary with the same entries and possibly more; values to within rounding."""

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, dict)
        close = abs(self["value"] - other["value"]) < 1e-6
        return close and all(self[key] == other[key] for key in ("text", "visits", "children"))

    __hash__ = None  # type: ignore[assignment]


@THOROUGH
@given(searches())
def test_whatever_happens_the_tree_stays_sound(trees, case):
    """Any order of replies, any failures, any limits: nothing in flight, visits add up, the budget holds."""
    options, budget, chance, failing = case
    where = _accident_prone(chance, failing)

    def watch(event: object) -> None:
        if isinstance(event, NodeAdded | BackedUp) and trees[-1].root.visits < 20:
            sums = [node.visits - sum(child.visits for child in node.children.values()) for node in trees[-1].nodes]
            assert min(sums) >= 0

    async def main() -> None:
        try:
            result = await uct(where.task(budget, max_tokens=12), where.ports(watch), options)
        except EspalierError:
            return
        assert result.simulations <= (budget.simulations or 0)
        assert budget.seconds is None or result.seconds <= budget.seconds + 1e-6
        assert result.generated_tokens == where.engine.generated_tokens
        assert result.winners[0] in result.candidates
        assert result.nodes == len(trees[-1].nodes)
        begun = "".join(event.text for event in where.events if isinstance(event, AnswerText))
        assert result.winners[0].path.text.startswith(begun)

    run_virtually(main)
    _check(where, trees[-1], budget)


@THOROUGH
@given(searches(), st.floats(0, 12))
def test_cancelling_at_any_moment_leaves_nothing_behind(trees, case, moment):
    """A search that is cancelled has no call open and no visit in flight."""
    options, budget, chance, failing = case
    where = _accident_prone(chance, failing)

    async def main() -> None:
        task = asyncio.create_task(uct(where.task(budget, max_tokens=12), where.ports(), options))
        await asyncio.sleep(moment)
        task.cancel()
        await asyncio.wait([task])
        assert task.done()
        if not task.cancelled():
            task.exception()

    run_virtually(main)
    if trees:
        _check(where, trees[-1], budget)


@settings(max_examples=25, deadline=None)
@given(searches(), st.integers(0, 2**31))
def test_width_one_and_the_same_seed_give_the_same_tree(case, seed):
    """Whatever the options, a sequential search is a function of its seed; timing has no part in it."""
    options, budget, chance, _ = case
    options = replace(options, width=1)
    grown = []
    for _ in range(2):
        where = forest(latency=lambda *_: chance.random())

        async def main(where: World = where) -> None:
            task = where.task(Budget(simulations=budget.simulations, tokens=budget.tokens), max_tokens=12, seed=seed)
            with suppress(NoAnswerInTime):
                await uct(task, where.ports(), options)

        run_virtually(main)
        grown.append(replayed(where.events))
    assert grown[0] == grown[1]


@THOROUGH
@given(searches(), st.sampled_from(SAMPLERS), st.floats(0, 12), st.integers(1, 3))
def test_samplers_keep_their_limits_and_leave_nothing_behind(case, name, moment, n):
    """Direct and the samplers, too: whatever fails, whenever they are cancelled."""
    _, budget, chance, failing = case
    where = _accident_prone(chance, failing)
    where.engine.token_seconds = chance.choice([0.0, 0.3])
    where.messages = instructed(where.messages, INSTRUCTION)
    spec = STRATEGIES[name]
    options = spec.defaults
    if isinstance(options, SamplingOptions):
        options = replace(options, width=chance.choice([None, 1, 3]))
        if options.adaptive:
            options = replace(options, certainty=chance.choice([1.0, 0.8]))

    async def main() -> None:
        task = asyncio.create_task(spec.run(where.task(budget, max_tokens=9, n=n), where.ports(), options))
        await asyncio.sleep(moment)
        task.cancel()
        await asyncio.wait([task])
        if task.cancelled() or task.exception():
            assert task.cancelled() or isinstance(task.exception(), EspalierError)
            return
        result = task.result()
        assert budget.seconds is None or result.seconds <= budget.seconds + 1e-6
        assert budget.tokens is None or result.generated_tokens <= budget.tokens
        assert len(result.winners) <= n

    run_virtually(main)
    assert (where.engine.open_calls, where.reward.open_calls if where.reward else 0) == (0, 0)
    assert budget.tokens is None or where.engine.generated_tokens <= budget.tokens
    assert [type(event) for event in where.events][-1:] in ([SearchFinished], [])
