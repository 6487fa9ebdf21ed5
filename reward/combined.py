"""Several rewards as one, by weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcts.checks import checked_scores
from mcts.errors import StartupError
from mcts.ports import Path, PathScore
from mcts.reward_ports import AnyReward, Sampler, WritingReward
from mcts.together import together


@dataclass(frozen=True, slots=True)
class CombinedReward:
    """A ``WritingReward``: Σ w_i r_i / Σ w_i, in [0, 1]. It sees only the whole: steps have no rewards.

    Args:
        parts: Rewards by name, at least one.
        weights: By the same names; above 0, of any scale.

    Raises:
        StartupError: There is no part, or a weight is not a number above 0.
    """

    parts: Mapping[str, AnyReward]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.parts or set(self.parts) != set(self.weights):
            raise StartupError("A combined reward needs at least one part, and one weight for each.")
        for name, weight in self.weights.items():
            if not (math.isfinite(weight) and weight > 0):
                raise StartupError(f"The weight of {name!r} in a combined reward must be above 0.")

    @property
    def top_logprobs(self) -> int:
        """What the most demanding part needs."""
        return max(part.top_logprobs for part in self.parts.values())

    @property
    def tokens_per_path(self) -> int:
        """Most tokens that all parts together may have written about one path."""
        return sum(part.tokens_per_path for part in self.parts.values() if isinstance(part, WritingReward))

    async def judge(self, paths: Sequence[Path], sampler: Sampler) -> list[PathScore]:
        """Scores each path, in order; all parts are asked at once, and the first to fail fails the whole.

        Raises:
            Whatever a part raises.
        """
        calls = (_scored(part, paths, sampler) for part in self.parts.values())
        columns = dict(zip(self.parts, await together(calls), strict=True))
        return [self._combined({name: scores[i] for name, scores in columns.items()}) for i in range(len(paths))]

    def _combined(self, scores: Mapping[str, PathScore]) -> PathScore:
        total = math.fsum(self.weights.values())
        value = math.fsum(self.weights[name] * score.value for name, score in scores.items()) / total
        told = [f"{name}: {score.critique}" for name, score in scores.items() if score.critique]
        return PathScore(value, critique="\n\n".join(told))


async def _scored(part: AnyReward, paths: Sequence[Path], sampler: Sampler) -> tuple[PathScore, ...]:
    """One part's scores, checked before they are mixed: a poisoned one must not hide in a mean."""
    if isinstance(part, WritingReward):
        return checked_scores(await part.judge(paths, sampler), len(paths))
    return checked_scores(await part.score(paths), len(paths))
