"""From the fields of a ``search`` object to a strategy's own options, and what else a strategy brings along."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mcts.ports import Sampling, Tokenizer
from mcts.steps import StepRule
from mcts.strategies import STRATEGIES, Reflection
from mcts.strategies.beam import SEARCH_AND_LEARN_SAMPLING
from mcts.strategies.cot_decoding import SAMPLING as GREEDY
from mcts.strategies.marco_o1 import REFLECTION_TEXT, SAMPLING
from mcts.strategies.self_refine import MCTSR_SAMPLING

TREES = frozenset({"uct", "marco-o1", "self_refine", "mctsr", "ab_mcts"})
"""Strategies that count simulations."""

SAMPLERS = frozenset({"majority", "best_of_n", "weighted_best_of_n"})
"""Strategies that count samples."""

POPULATIONS = frozenset({"beam", "dvts", "rebase", "particle", "search-and-learn", "search-and-learn-dvts"})
"""Strategies that count paths growing side by side."""

OWN_REWARD = {"marco-o1": "confidence", "search-and-learn": "prm", "search-and-learn-dvts": "prm"}
"""Rewards that belong to a strategy, whatever the server's default."""

OWN_SAMPLING = {
    "mctsr": MCTSR_SAMPLING,
    "cot_decoding": GREEDY,
    "marco-o1": SAMPLING,
    "search-and-learn": SEARCH_AND_LEARN_SAMPLING,
    "search-and-learn-dvts": SEARCH_AND_LEARN_SAMPLING,
}
"""Sampling that belongs to a strategy, for what the client leaves open."""


def build_options(search: Mapping[str, Any], tokenizer: Tokenizer) -> Any:
    """The strategy's options: its defaults, changed by the fields given.

    Raises:
        InvalidRequest: The options refuse a value.
    """
    defaults = STRATEGIES[search["strategy"]].defaults
    own = {field.name: search[field.name] for field in dataclasses.fields(defaults) if field.name in search}
    if "step" in own:
        own["step"] = _step(own["step"])
    if "reflection" in own:
        own["reflection"] = _reflection(own["reflection"], tokenizer)
    return dataclasses.replace(defaults, **own)


def needs_reward(strategy: str) -> bool:
    """Whether the strategy scores paths."""
    return STRATEGIES[strategy].needs_reward


def own_sampling(strategy: str, temperature: float | None, model: Sampling) -> Sampling:
    """How tokens are drawn where the client leaves it open.

    Args:
        strategy: A reference strategy brings its own.
        temperature: The operator's; None leaves it to the model.
        model: What the model's makers recommend.
    """
    if strategy in OWN_SAMPLING:
        return OWN_SAMPLING[strategy]
    return model if temperature is None else dataclasses.replace(model, temperature=temperature)


def _step(step: Mapping[str, Any]) -> StepRule:
    return StepRule(tokens=step["tokens"]) if "tokens" in step else StepRule((step["delimiter"],))


def _reflection(wanted: bool | str, tokenizer: Tokenizer) -> Reflection | None:
    """The phrase as a paragraph of its own, so that it does not run into the answer before it."""
    if not wanted:
        return None
    text = f"\n\n{REFLECTION_TEXT if wanted is True else wanted.strip()}\n\n"
    return Reflection(text, tuple(tokenizer.encode(text)))
