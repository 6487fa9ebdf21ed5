"""The rewards of one server: what its models can give, and what the operator adds; and how it reads final answers."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcts.errors import StartupError
from mcts.ports import RewardModel, Tokenizer
from mcts.reward_ports import AnyReward
from reward.answers import StandardAnswers
from reward.extraction import DEFAULT_RULES
from reward.plugins import load_function
from reward.registry import PROCESS_REWARD, JudgeSettings, add_reward, build_rewards, combine
from reward.rules import RuleReward, json_schema_rule
from reward.verifier import Verifier
from server.settings import Settings


def make_rewards(
    settings: Settings, tokenizer: Tokenizer, model: RewardModel | None, name: str = PROCESS_REWARD
) -> dict[str, AnyReward]:
    """Every reward that this server can give, by name.

    Args:
        settings: What the operator adds.
        tokenizer: The generating engine's.
        model: The reward of the reward model; None where none is loaded.
        name: What requests call that.

    Raises:
        StartupError: A function, the schema or a mixture cannot be used; the message says which and why.
    """
    rewards = build_rewards(None, tokenizer, JudgeSettings(settings.judge_votes, settings.judge_max_tokens))
    if model is not None:
        rewards[name] = model
    if settings.reward_json_schema:
        add_reward(rewards, "json_schema", RuleReward(json_schema_rule(_schema(settings.reward_json_schema))))
    for own, target in settings.reward_function.items():
        add_reward(rewards, own, load_function(own, str(target)))
    for own, mixture in settings.reward_mix.items():
        add_reward(rewards, own, combine(rewards, own, read_weights(own, mixture)))
    return rewards


def check_rewards(settings: Settings) -> None:
    """Looks at all that needs no model, before models are loaded.

    Raises:
        StartupError: A function, the schema, a mixture or the way answers are found cannot be used.
    """
    make_answers(settings)
    if settings.reward_json_schema:
        json_schema_rule(_schema(settings.reward_json_schema))
    for name, target in settings.reward_function.items():
        load_function(name, str(target))
    for name, mixture in settings.reward_mix.items():
        read_weights(name, mixture)


def make_answers(settings: Settings) -> StandardAnswers:
    """What reads final answers. Where the settings give a pattern and no rules, it is tried first.

    Raises:
        StartupError: A rule is unknown, the pattern is wrong, or math-verify is wanted and not installed.
    """
    rules = settings.answer_rules or (*(("pattern",) if settings.answer_pattern else ()), *DEFAULT_RULES)
    rules = () if rules == ("none",) else rules
    return StandardAnswers(rules, settings.answer_json_field, settings.answer_pattern, _verifier(settings))


def _verifier(settings: Settings) -> Verifier | None:
    """What compares answers by algebra; its process is not started yet, and nothing is imported."""
    if settings.answer_equivalence == "exact":
        return None
    if importlib.util.find_spec("math_verify") is None:
        raise StartupError("The package 'math-verify' is not installed; go without by --answer-equivalence exact.")
    return Verifier()


def read_weights(name: str, mixture: Any) -> dict[str, float]:
    """Weights by reward, from ``prm*0.7+confidence*0.3`` or from a mapping of a settings file.

    Raises:
        StartupError: It is neither, or a weight is no number.
    """
    if isinstance(mixture, Mapping):
        pairs = [(str(part), weight) for part, weight in mixture.items()]
    else:
        terms = [term.partition("*") for term in str(mixture).split("+")]
        pairs = [(part.strip(), weight if times else "1") for part, times, weight in terms]
    try:
        weights = {part: float(weight) for part, weight in pairs}
    except (TypeError, ValueError):
        weights = {}
    if len(weights) < len(pairs) or not weights or not all(map(math.isfinite, weights.values())):
        raise StartupError(f"The reward {name!r} must be weights such as prm*0.7+confidence*0.3, each reward once.")
    return weights


def _schema(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StartupError(f"reward_json_schema: {path!r} cannot be read as JSON: {error}") from None
