"""Searches over whole answers through the HTTP interface, on the scripted engine."""

from __future__ import annotations

from typing import Any

import pytest

from engine.scripted import ScriptedEngine
from mcts.errors import InvalidRequest
from mcts.events import SimulationDone
from mcts.ports import Sampling
from mcts.strategies import STRATEGIES
from mcts.strategies.self_refine import MCTSR
from server.options import own_sampling
from server.progress import ProgressLines
from tests.mcts.dialogues import Dialogue
from tests.server.service import Service, backend, serving
from tests.server.test_plans import plan

CHAIN = Dialogue([("17", 1.0)], {"17": [("42", 1.0)]}, {"17": [-20], "42": [60]})


@pytest.fixture
def refining(service: Service) -> Service:
    """A server whose model refines 17 to 42."""
    service.engine.script = CHAIN.script
    return service


@pytest.mark.parametrize("preset", ["self-refine", "mctsr"])
async def test_an_answer_is_refined_over_http(refining: Service, preset: str) -> None:
    """The preset's own budget of 8 refinements, no reward port, a tree in the summary."""
    reply = await refining.answer(model=f"abacus:{preset}", seed=3, max_tokens=200)
    told = reply["search"]
    assert (told["strategy"], told["simulations"], told["reward"]) == (preset.replace("-", "_"), 8, None)
    assert told["nodes"] > 2
    assert told["reward_calls"] == 0
    assert (reply["choices"][0]["message"]["content"], told["value"]) == ("42", 0.8)


async def test_answers_are_branched_over_http(refining: Service) -> None:
    """The preset scores by the server's reward and counts answers as simulations."""
    reply = await refining.answer(
        model="abacus:ab-mcts", seed=3, search={"budget": {"simulations": 6}, "prior": "beta"}
    )
    told = reply["search"]
    assert (told["strategy"], told["simulations"], told["nodes"], told["reward"]) == ("ab_mcts", 6, 7, "prm")
    assert told["reward_calls"] == 6
    assert plan(preset="ab-mcts").most_tokens(100, n=1) == 32 * (512 + 100)


async def test_a_request_may_bring_its_own_turns(refining: Service) -> None:
    """The texts of a request reach the engine."""
    await refining.answer(
        search={"strategy": "self_refine", "critique_request": "何が悪い?", "budget": {"simulations": 1}}
    )
    asked = [refining.engine.tokenizer.decode(request.prefix) for request in refining.engine.requests]
    assert any("<user>何が悪い?<assistant>" in text for text in asked)


async def test_no_call_is_longer_than_the_models_context() -> None:
    """The turns of a refinement are kept within the model's context like the prompt."""
    engine = ScriptedEngine(CHAIN.script)
    async with serving(engine, made=backend(engine, max_model_len=320)) as refining:
        await refining.answer(model="abacus:self-refine", max_tokens=200)
    lengths = [len(request.prefix) + request.max_tokens for request in engine.requests]
    assert max(lengths) == 320  # the grading chats would have liked more


@pytest.mark.parametrize(
    ("search", "param"),
    [
        ({"strategy": "self_refine", "reward": "prm"}, "search.reward"),
        ({"strategy": "self_refine", "gradings": 0}, "search.gradings"),
        ({"strategy": "mctsr", "critique_request": ""}, "search.critique_request"),
        ({"strategy": "uct", "gradings": 2}, "search.gradings"),
        ({"strategy": "ab_mcts", "prior": "cauchy"}, "search.prior"),
        ({"strategy": "ab_mcts", "branch": 2}, "search.branch"),
    ],
)
async def test_fields_that_do_not_fit_are_refused(service: Service, search: dict[str, Any], param: str) -> None:
    """Nothing is silently ignored."""
    assert (await service.refusal(search=search))["param"] == param


def test_a_partial_search_changes_the_refining_preset() -> None:
    """Fields without a strategy merge over the preset."""
    made = plan({"gradings": 3, "budget": {"tokens": 50}}, preset="self-refine")
    assert (made.options.gradings, made.budget.simulations, made.budget.tokens) == (3, 8, 50)
    assert (made.reward, made.vote) == (None, "weighted")
    with pytest.raises(InvalidRequest):
        plan({"gradings": 3}, preset="uct")


def test_mctsr_keeps_the_published_settings() -> None:
    """The reference preset is the reference's options and its temperature, whatever the operator's."""
    made = plan(preset="mctsr")
    assert made.options == MCTSR == STRATEGIES["mctsr"].defaults
    assert made.budget.simulations == 8
    assert own_sampling("mctsr", 0.3, Sampling()).temperature == 0.95


def test_the_most_tokens_of_a_refining_search_count_every_turn() -> None:
    """mctsr: 100 + 3 · 256 at first, then 8 · (512 + 100 + 2 · 3 · 256) tokens; a token budget may be lower."""
    assert plan(preset="mctsr").most_tokens(100, n=1) == 868 + 8 * 2148
    assert plan({"budget": {"tokens": 77}}, preset="mctsr").most_tokens(100, n=1) == 77


def test_progress_counts_refinements_as_simulations() -> None:
    """As for every tree."""
    line = ProgressLines("self_refine", 8).line(SimulationDone(1, "42", 0.5, 1.0))
    assert line == "simulation 1/8 · best so far 42 (0.50)\n"
