"""What runs for a request: precedence of request, preset, effort and settings; caps."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward
from mcts.errors import InvalidRequest
from mcts.ports import Sampling
from mcts.strategies import STRATEGIES
from mcts.strategies.beam import SEARCH_AND_LEARN, SEARCH_AND_LEARN_DVTS
from mcts.strategies.marco_o1 import MARCO_O1, SAMPLING
from reward.registry import build_rewards
from server.options import own_sampling
from server.plans import Plan, make_plan
from server.presets import PRESETS, Preset, served_presets
from server.schemas.search import Search
from tests.server.service import backend, serving, settings

SEARCH: TypeAdapter[Any] = TypeAdapter(Search)
BY_NAME = {preset.name: preset for preset in PRESETS}


def plan(search: dict[str, Any] | None = None, preset: str = "uct", effort: str | None = None, **changes: Any) -> Plan:
    """The plan for a request."""
    asked = None if search is None else SEARCH.validate_python(search)
    defaults = {"default_simulations": 32, "default_samples": 16}
    return make_plan(asked, BY_NAME[preset], effort, settings(**defaults | changes), backend(ScriptedEngine()))


def test_the_server_fills_what_nobody_says() -> None:
    """Without a word from the client the settings decide."""
    made = plan(default_seconds=12.5)
    assert (made.strategy, made.budget.simulations, made.budget.seconds) == ("uct", 32, 12.5)
    assert made.reward == "prm"
    assert made.options == STRATEGIES["uct"].defaults


def test_confidence_scores_where_no_reward_model_is_loaded() -> None:
    """The default reward falls back on the model's own confidence."""
    made = make_plan(None, BY_NAME["uct"], None, settings(), backend(ScriptedEngine(), rewards=build_rewards()))
    assert made.reward == "confidence"


@pytest.mark.parametrize("preset", ["uct", "best-of-n", "weighted-best-of-n", "beam"])
def test_an_outcome_model_scores_where_it_is_loaded(preset: str) -> None:
    """The reward model that was loaded is the default reward, whatever kind it is."""
    where = backend(ScriptedEngine(), rewards=build_rewards() | {"orm": ScriptedReward()})
    assert make_plan(None, BY_NAME[preset], None, settings(), where).reward == "orm"
    assert {"best-of-n-orm"} == {name for name in served_presets(where.rewards) if name.endswith(("-orm", "-prm"))}


def test_a_partial_search_changes_the_preset() -> None:
    """Fields without a strategy merge over the preset, budgets field by field."""
    made = plan({"budget": {"tokens": 900}, "width": 2}, preset="uct-mini-32")
    assert made.options.step.tokens == 32
    assert made.options.width == 2
    assert (made.budget.tokens, made.budget.simulations) == (900, 32)


def test_another_strategy_replaces_the_preset() -> None:
    """A strategy of the client's own starts from the server's defaults, not from the preset's settings."""
    made = plan({"strategy": "majority"}, preset="uct-confidence")
    assert (made.strategy, made.reward, made.options.samples, made.vote) == ("majority", None, 16, "majority")


def test_the_same_strategy_keeps_the_preset() -> None:
    """Naming the preset's own strategy changes nothing."""
    assert plan({"strategy": "uct"}, preset="uct-mini-64").options.step.tokens == 64


@pytest.mark.parametrize(
    ("effort", "simulations"), [("minimal", 4), ("low", 8), ("medium", 32), ("high", 64), ("max", 256)]
)
def test_effort_scales_the_budget(effort: str, simulations: int) -> None:
    """Effort multiplies the preset's simulations; samples likewise."""
    assert plan(effort=effort).budget.simulations == simulations
    assert plan(preset="majority", effort=effort, max_samples=1000).options.samples == simulations // 2


def test_effort_none_is_plain_decoding() -> None:
    """Clients can ask for no search at all, unless they name a strategy."""
    assert plan(effort="none").strategy == "direct"
    assert plan({"strategy": "majority"}, effort="none").strategy == "majority"


def test_the_clients_own_number_beats_effort() -> None:
    """What the request writes is not scaled."""
    assert plan({"budget": {"simulations": 10}}, effort="max").budget.simulations == 10


@pytest.mark.parametrize(
    ("search", "cap", "param"),
    [
        ({"budget": {"simulations": 100}}, {"max_simulations": 99}, "search.budget.simulations"),
        ({"budget": {"seconds": 100}}, {"max_seconds": 99}, "search.budget.seconds"),
        ({"budget": {"tokens": 100}}, {"max_search_tokens": 99}, "search.budget.tokens"),
        ({"strategy": "majority", "samples": 100}, {"max_samples": 99}, "search.samples"),
        ({"strategy": "beam", "beams": 100}, {"max_samples": 99}, "search.beams"),
        ({"strategy": "particle", "particles": 100}, {"max_samples": 99}, "search.particles"),
        ({"branch": 10}, {"max_branch": 9}, "search.branch"),
        ({"width": 10}, {"max_width": 9}, "search.width"),
        ({"max_depth": 10}, {"max_depth": 9}, "search.max_depth"),
    ],
)
def test_a_request_above_a_cap_is_refused(search: dict[str, Any], cap: dict[str, Any], param: str) -> None:
    """The message names the limit, param names the field."""
    with pytest.raises(InvalidRequest, match=str(next(iter(cap.values())))) as refused:
        plan(search, **cap)
    assert refused.value.param == param


def test_defaults_above_a_cap_are_lowered() -> None:
    """What the client did not write is never refused."""
    made = plan(effort="max", max_simulations=50, max_branch=2, max_width=3, max_seconds=7)
    assert (made.budget.simulations, made.options.branch, made.options.width, made.budget.seconds) == (50, 2, 3, 7)


def test_the_most_tokens_of_a_search_are_bounded_by_the_product_or_the_token_budget() -> None:
    """Simulations × branch × max_tokens is the bound, unless the token budget is lower."""
    search = {"budget": {"simulations": 10}, "branch": 4}
    assert plan(search).most_tokens(100, n=1) == 10 * (4 + 1) * 100
    assert plan({**search, "reflection": True}).most_tokens(100, n=1) == 2 * 10 * (4 + 1) * 100
    assert plan({**search, "budget": {"simulations": 10, "tokens": 77}}).most_tokens(100, n=1) == 77
    assert plan(preset="majority").most_tokens(100, n=1) == 16 * 100
    assert plan(preset="direct").most_tokens(100, n=3) == 3 * 100
    assert plan(preset="cot-decoding").most_tokens(100, n=3) == (10 + 1) * 100


def test_marco_o1_keeps_the_published_settings() -> None:
    """The reference preset is the reference's options, reflection and confidence."""
    made = plan(preset="marco-o1")
    assert made.reward == "confidence"
    assert made.options.reflection.text.strip() == "Wait! Maybe I made some mistakes! I need to rethink from scratch."
    assert (made.options.exploration, made.options.normalize, made.options.joint) == (
        MARCO_O1.exploration,
        False,
        False,
    )


def test_populations_are_bounded_by_the_cap_on_tokens_rather_than_refused() -> None:
    """Beams x rounds x max_tokens is a bound that is never met: the cap is their budget unless one is given."""
    assert plan(preset="beam").budget.tokens == settings().max_search_tokens
    assert plan(preset="particle", effort="max").most_tokens(2048, n=1) == settings().max_search_tokens
    assert plan({"budget": {"tokens": 900}}, preset="rebase").most_tokens(2048, n=1) == 900
    assert plan({"beams": 2, "max_depth": 3}, preset="dvts").most_tokens(100, n=1) == 2 * 3 * 100
    assert plan({"beams": 2, "max_depth": 3, "lookahead": 1}, preset="beam").most_tokens(100, n=1) == 2 * 2 * 3 * 100
    assert plan({"particles": 2, "max_depth": 3}, preset="particle").most_tokens(100, n=1) == 2 * 3 * 100


@pytest.mark.parametrize(("preset", "name"), [("beam", "beams"), ("dvts", "beams"), ("rebase", "beams")])
def test_effort_scales_the_paths(preset: str, name: str) -> None:
    """Effort multiplies the paths of a population, up to the cap on samples."""
    assert getattr(plan(preset=preset, effort="high").options, name) == 32
    assert getattr(plan(preset=preset, effort="max", max_samples=50).options, name) == 50
    assert plan(preset="particle", effort="low").options.particles == 4


def test_search_and_learn_keeps_the_published_settings() -> None:
    """The reference presets are the references' options; they are scored by a process reward and nothing else."""
    made = plan(preset="search-and-learn")
    assert (made.reward, made.options, made.vote) == ("prm", SEARCH_AND_LEARN, "weighted")
    assert plan(preset="search-and-learn-dvts").options == SEARCH_AND_LEARN_DVTS
    assert own_sampling("search-and-learn", 0.9, Sampling(temperature=0.7, top_k=20)) == Sampling(temperature=0.8)
    asked = SEARCH.validate_python({"strategy": "search-and-learn"})
    with pytest.raises(InvalidRequest, match="prm"):
        make_plan(asked, BY_NAME["uct"], None, settings(), backend(ScriptedEngine(), rewards=build_rewards()))


@pytest.mark.parametrize(
    ("preset", "field"),
    [("dvts", "refill"), ("rebase", "branch"), ("particle", "beams"), ("uct", "lookahead"), ("beam", "exploration")],
)
def test_fields_of_another_strategy_are_refused(preset: str, field: str) -> None:
    """What a strategy does not have is refused by name, also where a preset with another strategy has it."""
    with pytest.raises(InvalidRequest) as refused:
        plan({field: 1 if field != "refill" else True}, preset=preset)
    assert refused.value.param == f"search.{field}"


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_makes_a_plan(preset: Preset) -> None:
    """No preset has a field that its strategy lacks."""
    where = backend(
        ScriptedEngine(), rewards=build_rewards() | dict.fromkeys(["prm", "orm", "judge"], ScriptedReward())
    )
    assert make_plan(None, preset, None, settings(), where).strategy == preset.search["strategy"]


def test_presets_whose_reward_is_missing_are_not_served() -> None:
    """What cannot run is not listed."""
    assert "uct-prm" not in served_presets(["confidence"])
    assert "uct-prm" in served_presets(["confidence", "prm"])


def test_the_models_own_temperature_holds_unless_somebody_says_otherwise() -> None:
    """The client beats a reference strategy, which beats the operator, who beats the model's recommendation."""
    model = Sampling(temperature=0.7, top_k=20)
    assert own_sampling("uct", None, model) == model
    assert own_sampling("uct", 0.9, model) == Sampling(temperature=0.9, top_k=20)
    assert own_sampling("marco-o1", 0.9, model) == SAMPLING


async def test_the_clients_temperature_reaches_the_engine() -> None:
    """What the request says goes into every call, what it leaves open comes from the model."""
    engine = ScriptedEngine()
    async with serving(engine, made=backend(engine, sampling=Sampling(temperature=0.7, top_k=20))) as service:
        await service.answer(temperature=0.2, model="abacus:majority")
        await service.answer(model="abacus:direct")
    assert {(call.sampling.temperature, call.sampling.top_k) for call in list(engine.requests)[:-1]} == {(0.2, 20)}
    assert engine.requests[-1].sampling.temperature == 0.7
