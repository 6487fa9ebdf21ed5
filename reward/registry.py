"""Rewards by name, as settings and requests write them."""

from __future__ import annotations

from dataclasses import dataclass

from mcts.errors import InvalidRequest, StartupError
from mcts.ports import RewardModel, Tokenizer
from mcts.reward_ports import LabelReader, TokenClassifier
from reward.confidence import MEASURES, ConfidenceReward
from reward.conventions import AGGREGATES, LabelConvention, TagConvention
from reward.labelled import LabelReward
from reward.process import ProcessReward

PROCESS_REWARD = "prm"

REWARDS: tuple[str, ...] = (*MEASURES, PROCESS_REWARD)
"""Every reward's name."""


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


def build_rewards(process: ProcessModel | None = None) -> dict[str, RewardModel]:
    """Every reward that this server can give, by name. ``prm`` is among them when a process model is loaded.

    Raises:
        StartupError: The process model's aggregate is unknown, or its tokenizer does not fit.
    """
    rewards: dict[str, RewardModel] = {name: ConfidenceReward(measure) for name, measure in MEASURES.items()}
    return rewards | ({PROCESS_REWARD: process.reward()} if process else {})


def pick_reward(rewards: dict[str, RewardModel], name: str, param: str = "search.reward") -> RewardModel:
    """The reward of that name.

    Raises:
        InvalidRequest: It is unknown, or not loaded; the message lists what this server has.
    """
    if name in rewards:
        return rewards[name]
    if name == PROCESS_REWARD:
        raise InvalidRequest("The reward 'prm' needs a process reward model, and this server has none loaded.", param)
    raise InvalidRequest(f"Unknown reward {name!r}. This server has: {', '.join(rewards)}.", param)
