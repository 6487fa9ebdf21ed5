"""Rewards by name, as settings and requests write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mcts.aggregates import AGGREGATES
from mcts.errors import InvalidRequest, StartupError
from mcts.ports import RewardModel, Tokenizer
from mcts.reward_ports import AnyReward, LabelReader, TokenClassifier
from reward.combined import CombinedReward
from reward.confidence import MEASURES, ConfidenceReward
from reward.conventions import LabelConvention, TagConvention
from reward.judge import JudgeReward
from reward.labelled import LabelReward
from reward.process import ProcessReward
from reward.rules import RULES, RuleReward
from reward.self_evaluation import SelfEvaluation

PROCESS_REWARD = "prm"
JUDGE = "judge"
SELF_EVALUATION = "self_evaluation"

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What a reward may be called; as the request's schema has it."""


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How the judge is asked; see ``JudgeReward``."""

    votes: int = 1
    max_tokens: int = 512


@dataclass(frozen=True, slots=True, eq=False)
class ProcessModel:
    """A loaded process reward model.

    Args:
        engine: What serves it: a classifier for families that read tags, a label reader for those that read labels.
        tokenizer: Its own tokenizer.
        family: Its convention, as ``family_for`` found it.
        aggregate: Name in ``AGGREGATES``; empty for the family's published default.
    """

    engine: TokenClassifier | LabelReader
    tokenizer: Tokenizer
    family: TagConvention | LabelConvention
    aggregate: str = ""

    def reward(self) -> RewardModel:
        """The reward model over the engine.

        Raises:
            StartupError: The aggregate is unknown, or engine or tokenizer do not fit the family.
        """
        if self.aggregate and self.aggregate not in AGGREGATES:
            raise StartupError(f"Unknown aggregate {self.aggregate!r}. Known: {', '.join(AGGREGATES)}.")
        engine, family = self.engine, self.family
        if isinstance(family, TagConvention) and isinstance(engine, TokenClassifier):
            return ProcessReward(engine, self.tokenizer, family, self.aggregate)
        if isinstance(family, LabelConvention) and isinstance(engine, LabelReader):
            return LabelReward(engine, self.tokenizer, family, self.aggregate)
        raise StartupError(f"The convention {family.name!r} needs another kind of engine than {type(engine).__name__}.")


def build_rewards(
    process: ProcessModel | None = None, tokenizer: Tokenizer | None = None, judge: JudgeSettings | None = None
) -> dict[str, AnyReward]:
    """The rewards that need no settings of their own, by name.

    Args:
        process: A loaded process reward model, for ``prm``.
        tokenizer: The generating engine's, for ``judge`` and ``self_evaluation``; None leaves them out.
        judge: How the judge is asked.

    Raises:
        StartupError: The process model's aggregate is unknown, or its tokenizer does not fit.
    """
    rewards: dict[str, AnyReward] = {name: ConfidenceReward(measure) for name, measure in MEASURES.items()}
    rewards |= {name: RuleReward(rule) for name, rule in RULES.items()}
    if tokenizer is not None:
        judge = judge or JudgeSettings()
        rewards |= {
            JUDGE: JudgeReward(tokenizer, judge.votes, judge.max_tokens),
            SELF_EVALUATION: SelfEvaluation(tokenizer),
        }
    return rewards | ({PROCESS_REWARD: process.reward()} if process else {})


def add_reward(rewards: dict[str, AnyReward], name: str, reward: AnyReward) -> None:
    """Adds a reward of the operator's.

    Raises:
        StartupError: The name is taken, or not one that a request may write.
    """
    if not NAME.fullmatch(name):
        raise StartupError(f"The reward name {name!r} must be lower-case letters, digits, '_' and '-', 64 at most.")
    if name in rewards:
        raise StartupError(f"There is a reward {name!r} already; choose another name.")
    rewards[name] = reward


def combine(rewards: Mapping[str, AnyReward], name: str, weights: Mapping[str, float]) -> CombinedReward:
    """The named rewards by weights.

    Raises:
        StartupError: A part is not there, or a weight is not above 0.
    """
    for part in weights:
        if part not in rewards:
            raise StartupError(f"The reward {name!r} combines {part!r}, which this server does not have.")
    return CombinedReward({part: rewards[part] for part in weights}, dict(weights))


def pick_reward(rewards: Mapping[str, AnyReward], name: str, param: str = "search.reward") -> AnyReward:
    """The reward of that name.

    Raises:
        InvalidRequest: It is unknown, or not loaded; the message lists what this server has.
    """
    if name in rewards:
        return rewards[name]
    if name == PROCESS_REWARD:
        raise InvalidRequest("The reward 'prm' needs a process reward model, and this server has none loaded.", param)
    raise InvalidRequest(f"Unknown reward {name!r}. This server has: {', '.join(rewards)}.", param)
