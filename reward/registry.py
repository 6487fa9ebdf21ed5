"""Rewards by name, as settings and requests write them."""

from __future__ import annotations

from dataclasses import dataclass

from mcts.errors import InvalidRequest, StartupError
from mcts.ports import RewardModel, TokenClassifier, Tokenizer
from reward.confidence import MEASURES, ConfidenceReward
from reward.conventions import AGGREGATES, convention_for
from reward.process import ProcessReward

PROCESS_REWARD = "prm"

REWARDS: tuple[str, ...] = (*MEASURES, PROCESS_REWARD)
"""Every reward's name."""


@dataclass(frozen=True, slots=True, eq=False)
class ProcessModel:
    """A loaded process reward model.

    Args:
        classifier: The pooling engine that serves it.
        tokenizer: Its own tokenizer.
        architecture: The first of ``architectures`` in its ``config.json``; decides the convention.
        aggregate: Name in ``AGGREGATES``; empty for the family's published default.
    """

    classifier: TokenClassifier
    tokenizer: Tokenizer
    architecture: str
    aggregate: str = ""


def build_rewards(process: ProcessModel | None = None) -> dict[str, RewardModel]:
    """Every reward that this server can give, by name. ``prm`` is among them when a process model is loaded.

    Raises:
        StartupError: The process model's architecture or the aggregate is unknown.
    """
    rewards: dict[str, RewardModel] = {name: ConfidenceReward(measure) for name, measure in MEASURES.items()}
    if process is not None:
        if process.aggregate and process.aggregate not in AGGREGATES:
            raise StartupError(f"Unknown aggregate {process.aggregate!r}. Known: {', '.join(AGGREGATES)}.")
        convention = convention_for(process.architecture)
        rewards[PROCESS_REWARD] = ProcessReward(process.classifier, process.tokenizer, convention, process.aggregate)
    return rewards


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
