"""Outcome rewards: a second model gives a whole answer one number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcts.errors import RewardCallFailed, StartupError, StepMismatch
from mcts.ports import Message, Path, PathScore, Tokenizer
from mcts.reward_ports import SequenceScorer
from reward.solutions import turns_of


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeReward:
    """A ``RewardModel`` over a sequence classifier such as Skywork-Reward: σ((logit − center) / scale).

    These models are trained on pairs (Bradley & Terry): σ(a − b) is the probability that the answer with logit a is
    better than that with logit b. So the value is the probability of beating an answer with logit ``center``. It keeps
    the order of the logits; a larger ``scale`` keeps differences apart that would all be near 0 or 1.

    The model reads the chat with the answer as its last, closed turn. An answer without text is worth 0 and never sent.

    Args:
        scorer: The engine.
        tokenizer: The reward model's own.
        center: The logit that is worth ½.
        scale: Logits from there to σ(1) = 0.73; above 0.
        system: A system turn that the model was trained with; it replaces the client's own. Empty for none.

    Raises:
        StartupError: ``scale`` is not above 0, or a number is none.
    """

    scorer: SequenceScorer
    tokenizer: Tokenizer
    center: float = 0.0
    scale: float = 1.0
    system: str = ""
    top_logprobs: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.center) and math.isfinite(self.scale) and self.scale > 0):
            raise StartupError("An outcome reward needs a finite center and a scale above 0.")

    async def score(self, paths: Sequence[Path]) -> list[PathScore]:
        """Scores each path, in order. All paths go to the engine at once.

        Raises:
            PathTooLong: A path is longer than the model reads.
            RewardCallFailed: The call failed, or a logit is not a number.
            RewardDead: The reward engine is gone.
            StepMismatch: The engine gave another number of logits than there are paths.
        """
        asked = [i for i, path in enumerate(paths) if path.text.strip()]
        values = [0.0] * len(paths)
        if asked:
            logits = await self.scorer.logits([self._prompt(paths[i]) for i in asked])
            if logits.shape != (len(asked),):
                raise StepMismatch(f"The reward model gave logits of shape {logits.shape} for {len(asked)} paths.")
            if not np.isfinite(logits).all():
                raise RewardCallFailed("The reward model gave a logit that is not a number.")
            for i, logit in zip(asked, map(float, logits), strict=True):
                values[i] = squashed((logit - self.center) / self.scale)
        return [PathScore(value) for value in values]

    def _prompt(self, path: Path) -> list[int]:
        system = [Message("system", self.system)] if self.system else []
        return self.tokenizer.render([*system, *turns_of(path), Message("assistant", path.text)], closed=True)


def squashed(logit: float) -> float:
    """σ(x) = 1 / (1 + e⁻ˣ), in [0, 1], without overflow for any finite x."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    grown = math.exp(logit)
    return grown / (1.0 + grown)
