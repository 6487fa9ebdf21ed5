"""From a request's ``search`` object to what will run: preset and effort fill the gaps, caps bound the result.

Precedence: request > preset in the model name > ``reasoning_effort`` > server default. A value the client wrote that is
above a cap is refused by name; one that comes from elsewhere is lowered to the cap.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from mcts.budget import Budget
from mcts.errors import InvalidRequest
from mcts.reward_ports import AnyReward, WritingReward
from mcts.strategies import STRATEGIES, AbMctsOptions, SelfRefineOptions
from mcts.strategies.cot import CotOptions
from reward.registry import MODEL_REWARDS
from server.backend import Backend
from server.options import OWN_REWARD, POPULATIONS, SAMPLERS, TREES, build_options, needs_reward
from server.presets import Preset
from server.refusals import invalid
from server.schemas.search import Named, Search
from server.settings import Settings

EFFORT = {"minimal": 0.125, "low": 0.25, "medium": 1.0, "high": 2.0, "xhigh": 4.0, "max": 8.0}
"""What a reasoning effort multiplies the budget by. ``none`` is plain decoding instead."""

SCALED = ("simulations", "tokens", "samples", "beams", "particles")
"""What the effort scales. Deadlines stay: they are the patience of whoever waits."""

BOUNDED = ("width", "branch", "max_depth", "beams", "particles")
"""Options of trees and populations that have caps."""

WHOLE = ("direct", "cot", "majority", "best_of_n", "weighted_best_of_n")
"""Strategies each of whose calls writes a whole answer: a form begins with an answer's first token."""

_named: TypeAdapter[Any] = TypeAdapter(Named)

Progress = bool | Literal["events"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one request is searched. ``reward`` and ``vote`` are None for strategies without them.

    ``judging`` is how many tokens the reward may have written about each path; 0 for most rewards. ``candidates``:
    whether the summary lists every answer found.
    """

    strategy: str
    options: Any
    budget: Budget
    reward: str | None
    vote: str | None
    progress: Progress
    judging: int = 0
    candidates: bool = False

    @property
    def needs_chat(self) -> bool:
        """Whether the strategy adds turns of its own, for which a plain prompt has no place."""
        return isinstance(self.options, CotOptions | SelfRefineOptions | AbMctsOptions)

    def most_tokens(self, max_tokens: int, n: int) -> int:
        """Upper bound on the tokens this search can generate when each path may have ``max_tokens``."""
        paths: int
        if isinstance(self.options, SelfRefineOptions | AbMctsOptions):
            simulations = self.budget.simulations or 1
            unbounded = self.options.most_tokens(simulations, max_tokens) + simulations * self.judging
            return unbounded if self.budget.tokens is None else min(unbounded, self.budget.tokens)
        if self.strategy in TREES:
            paths = (self.budget.simulations or 1) * (self.options.branch + 1)  # one more for a rollout of its own
            paths *= 2 if self.options.reflection else 1
        elif self.strategy in POPULATIONS:
            lookahead = bool(getattr(self.options, "lookahead", 0))
            size = getattr(self.options, "particles", None) or self.options.beams
            paths = size * self.options.max_depth * (1 + lookahead)  # every round may write each path to its end
        else:
            paths = getattr(self.options, "samples", n)
            if self.strategy == "cot_decoding":
                paths = self.options.branch + 1  # one more for the token that ranks the others
        unbounded = paths * (max_tokens + self.judging)
        return unbounded if self.budget.tokens is None else min(unbounded, self.budget.tokens)


def make_plan(asked: Search | None, preset: Preset, effort: str | None, settings: Settings, backend: Backend) -> Plan:
    """Resolves what to run.

    Args:
        asked: The request's ``search`` object.
        preset: The preset in force.
        effort: The request's ``reasoning_effort``.
        settings: Defaults and caps.
        backend: Which rewards are loaded, and the tokenizer.

    Raises:
        InvalidRequest: A field does not belong to the strategy, is out of range or above a cap.
    """
    given = asked.model_dump(exclude_none=True) if asked else {}
    merged = _merged(_base(given, preset, effort), given)
    try:
        search = _named.validate_python(merged).model_dump(exclude_none=True)
    except ValidationError as error:
        raise invalid(error.errors(), merged, "search") from None
    _fill(search, settings, backend.rewards)
    _scale(search, given, effort)
    _cap(search, given, settings)
    _check_reward(search, backend.rewards)
    strategy = search["strategy"]
    options = build_options(search, backend.tokenizer)
    vote = getattr(options, "vote", None)
    return Plan(
        strategy,
        options,
        Budget(**search["budget"]),
        search.get("reward"),
        vote,
        search.get("progress", True),
        _judging(backend.rewards.get(search.get("reward", ""))),
        search.get("candidates", False),
    )


def _base(given: Mapping[str, Any], preset: Preset, effort: str | None) -> Mapping[str, Any]:
    strategy = given.get("strategy")
    if strategy not in {None, preset.search["strategy"]}:
        return {"strategy": strategy}
    if effort == "none" and strategy is None:
        return {"strategy": "direct"}
    return preset.search


def _merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    budget = {**base.get("budget", {}), **given.get("budget", {})}
    return {**base, **given, **({"budget": budget} if budget else {})}


def _fill(search: dict[str, Any], settings: Settings, rewards: Collection[str]) -> None:
    """Adds the server's defaults."""
    strategy, budget = search["strategy"], search.setdefault("budget", {})
    budget.setdefault("seconds", min(settings.default_seconds or settings.max_seconds, settings.max_seconds))
    budget.setdefault("simulations", settings.default_simulations if strategy in TREES else None)
    if (
        strategy in POPULATIONS
    ):  # the product of their numbers is far above what they ever need, and no bound to refuse by
        budget.setdefault("tokens", settings.max_search_tokens)
    defaults = STRATEGIES[strategy].defaults
    for name in BOUNDED:
        if hasattr(defaults, name):
            search.setdefault(name, getattr(defaults, name))
    if strategy in SAMPLERS:
        search.setdefault("samples", settings.default_samples)
    if needs_reward(strategy):
        loaded = (name for name in MODEL_REWARDS if name in rewards)
        common = settings.default_reward or next(loaded, "confidence")
        search.setdefault("reward", OWN_REWARD.get(strategy, common))


def _scale(search: dict[str, Any], given: Mapping[str, Any], effort: str | None) -> None:
    """Scales simulations, samples and tokens by the effort, except those the client wrote."""
    factor = EFFORT.get(effort or "", 1.0)
    for name in SCALED:
        holder, written, _ = _place(name, search, given)
        if name not in written and holder.get(name) is not None:
            holder[name] = max(1, round(holder[name] * factor))


def _cap(search: dict[str, Any], given: Mapping[str, Any], settings: Settings) -> None:
    limits: dict[str, float] = {
        "simulations": settings.max_simulations,
        "tokens": settings.max_search_tokens,
        "seconds": settings.max_seconds,
        "samples": settings.max_samples,
        "beams": settings.max_samples,
        "particles": settings.max_samples,
        "width": settings.max_width,
        "branch": settings.max_branch,
        "max_depth": settings.max_depth,
    }
    for name, limit in limits.items():
        holder, written, param = _place(name, search, given)
        value = holder.get(name)
        if value is None or value <= limit:
            continue
        if name in written:
            raise InvalidRequest(f"{param} is {value:g}; this server allows at most {limit:g}.", param)
        holder[name] = limit


def _place(
    name: str, search: dict[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], Mapping[str, Any], str]:
    """Where a number stands in the search, what the client wrote beside it, and its dotted name."""
    if name in Budget.__dataclass_fields__:
        return search["budget"], given.get("budget", {}), f"search.budget.{name}"
    return search, given, f"search.{name}"


def _judging(reward: AnyReward | None) -> int:
    return reward.tokens_per_path if isinstance(reward, WritingReward) else 0


def _check_reward(search: Mapping[str, Any], rewards: Collection[str]) -> None:
    reward = search.get("reward")
    if reward is not None and reward not in rewards:
        known = ", ".join(sorted(rewards))
        raise InvalidRequest(
            f"search.reward {reward!r} is not loaded on this server; it has: {known}.", "search.reward"
        )
