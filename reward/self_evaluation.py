"""The model's own doubt: how likely it says Yes when asked whether its answer is right.

P(True) of Kadavath et al. (2207.05221, section 3), with Yes and No for labels and without a list of samples to compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mcts.ports import Path, PathScore, Tokenizer
from mcts.reward_ports import Sampler
from mcts.together import together
from reward.conventions import label_ids
from reward.generative import ask_about_answer
from reward.labels import read_labels, share_of_first


@dataclass(frozen=True, slots=True, eq=False)
class SelfEvaluation:
    """A ``WritingReward``: P(Yes) / (P(Yes) + P(No)) by the search's own model. One or two tokens per answer.

    An answer without text is worth 0 and is not asked about.

    Raises:
        StartupError: The tokenizer cannot tell Yes from No.
    """

    tokenizer: Tokenizer
    top_logprobs: int = 0
    tokens_per_path: int = 2
    _labels: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_labels", label_ids(self.tokenizer, ("Yes", "No")))

    async def judge(self, paths: Sequence[Path], sampler: Sampler) -> list[PathScore]:
        """Scores each path, in order; all are asked about at once.

        Raises:
            RewardCallFailed: Neither Yes nor No has any probability.
            Whatever else ``sampler`` raises.
        """
        return await together(self._judge(path, sampler) for path in paths)

    async def _judge(self, path: Path, sampler: Sampler) -> PathScore:
        if not path.text.strip():
            return PathScore(0.0)
        row = await read_labels(sampler, ask_about_answer(self.tokenizer, path), self._labels)
        return PathScore(float(share_of_first(row[np.newaxis])[0]))
