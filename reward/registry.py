"""Rewards by name, as settings and requests write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mcts.aggregates import AGGREGATES
from mcts.errors import InvalidRequest, StartupError, StepMismatch
from mcts.ports import Message, Path, Prompt, RewardModel, Tokenizer
from mcts.reward_ports import AnyReward, LabelReader, SequenceScorer, TokenClassifier
from reward.combined import CombinedReward
from reward.confidence import MEASURES, ConfidenceReward
from reward.conventions import AnswerConvention, Family, LabelConvention, TagConvention
from reward.judge import JudgeReward
from reward.labelled import LabelReward
from reward.outcome import OutcomeReward
from reward.process import ProcessReward
from reward.rules import RULES, RuleReward
from reward.self_evaluation import SelfEvaluation

PROCESS_REWARD = "prm"
OUTCOME_REWARD = "orm"
MODEL_REWARDS = (PROCESS_REWARD, OUTCOME_REWARD)
"""Rewards that a loaded reward model gives, one of them at a time."""

JUDGE = "judge"
SELF_EVALUATION = "self_evaluation"

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What a reward may be called; as the request's schema has it."""


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How the judge is asked; see ``JudgeReward``."""

    votes: int = 1
    max_tokens: int = 512


@dataclass(frozen=True, slots=True)
class Reading:
    """What the operator says about how a reward model's scores are read. None leaves it to the model's family.

    Args:
        aggregate: How the scores of steps become the path's; a name in ``AGGREGATES``.
        center: Of raw logits: the one that is worth ½; 0 unless set.
        scale: Of raw logits: how far above ``center`` is worth 0.73; 1 unless set.
    """

    aggregate: str | None = None
    center: float | None = None
    scale: float | None = None

    def check(self, family: Family) -> None:
        """Looks whether all of it means something to the family.

        Raises:
            StartupError: Something does not; the message names the setting.
        """
        if self.aggregate and self.aggregate not in AGGREGATES:
            raise StartupError(f"Unknown aggregate {self.aggregate!r}. Known: {', '.join(AGGREGATES)}.")
        if self.aggregate and family.judges_whole:
            raise StartupError(f"A model of the convention {family.name!r} scores no steps: drop reward_aggregate.")
        if (self.center, self.scale) != (None, None) and not isinstance(family, AnswerConvention):
            raise StartupError(
                f"A model of the convention {family.name!r} gives probabilities: drop reward_center and reward_scale."
            )


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A loaded reward model.

    Args:
        engine: What serves it: a classifier for families that read tags, a label reader for those that read labels, a
            sequence scorer for those that read whole answers.
        tokenizer: Its own tokenizer.
        family: Its convention, as ``family_for`` found it.
        reading: What the operator says about its scores.
    """

    engine: TokenClassifier | LabelReader | SequenceScorer
    tokenizer: Tokenizer
    family: Family
    reading: Reading = Reading()

    @property
    def name(self) -> str:
        """What requests call its reward: ``orm`` where it judges whole answers, else ``prm``."""
        return OUTCOME_REWARD if self.family.judges_whole else PROCESS_REWARD

    def reward(self) -> RewardModel:
        """The reward model over the engine.

        Raises:
            StartupError: What the operator says, the engine or the tokenizer does not fit the family.
        """
        self.reading.check(self.family)
        _check_layout(self.family, self.tokenizer)
        engine, family, told = self.engine, self.family, self.reading
        if isinstance(family, TagConvention) and isinstance(engine, TokenClassifier):
            return ProcessReward(engine, self.tokenizer, family, told.aggregate or "")
        if isinstance(family, LabelConvention) and isinstance(engine, LabelReader):
            return LabelReward(engine, self.tokenizer, family, told.aggregate or "")
        if isinstance(family, AnswerConvention) and isinstance(engine, SequenceScorer):
            scale = 1.0 if told.scale is None else told.scale
            return OutcomeReward(engine, self.tokenizer, told.center or 0.0, scale)
        raise StartupError(f"The convention {family.name!r} needs another kind of engine than {type(engine).__name__}.")


def _check_layout(family: Family, tokenizer: Tokenizer) -> None:
    """Lays out a toy solution, so that a tokenizer or chat template of another family is told of at the start."""
    question = Message("user", "1 + 1?")
    path = Path(Prompt((), messages=(question,)), ())
    try:
        if isinstance(family, TagConvention):
            family.lay(tokenizer, path, ["2"])
        elif isinstance(family, LabelConvention):
            family.ask(tokenizer, path, ["2"])
        else:
            tokenizer.render([question, Message("assistant", "2")], closed=True)
    except (InvalidRequest, StepMismatch) as error:
        raise StartupError(f"The reward model does not fit the convention {family.name!r}: {error}") from error


def build_rewards(
    loaded: LoadedModel | None = None, tokenizer: Tokenizer | None = None, judge: JudgeSettings | None = None
) -> dict[str, AnyReward]:
    """The rewards that need no settings of their own, by name.

    Args:
        loaded: A loaded reward model, for ``prm`` or ``orm``.
        tokenizer: The generating engine's, for ``judge`` and ``self_evaluation``; None leaves them out.
        judge: How the judge is asked.

    Raises:
        StartupError: The reward model cannot be read as the operator says, or its tokenizer does not fit.
    """
    rewards: dict[str, AnyReward] = {name: ConfidenceReward(measure) for name, measure in MEASURES.items()}
    rewards |= {name: RuleReward(rule) for name, rule in RULES.items()}
    if tokenizer is not None:
        judge = judge or JudgeSettings()
        rewards |= {
            JUDGE: JudgeReward(tokenizer, judge.votes, judge.max_tokens),
            SELF_EVALUATION: SelfEvaluation(tokenizer),
        }
    return rewards | ({loaded.name: loaded.reward()} if loaded else {})


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
    if name in MODEL_REWARDS:
        kind = "a process reward model" if name == PROCESS_REWARD else "an outcome reward model"
        raise InvalidRequest(f"The reward {name!r} needs {kind}, and this server has none loaded.", param)
    raise InvalidRequest(f"Unknown reward {name!r}. This server has: {', '.join(rewards)}.", param)
