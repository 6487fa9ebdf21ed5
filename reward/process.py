"""Process rewards from a classifier: it gives every step of a path a probability of being right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mcts.aggregates import AGGREGATES
from mcts.errors import RewardCallFailed, StepMismatch
from mcts.ports import FloatArray, Path, PathScore, Tokenizer
from mcts.reward_ports import TokenClassifier
from reward.conventions import Layout, TagConvention, only_token
from reward.memory import ScoreMemory, beginnings


@dataclass(slots=True, eq=False)
class ProcessReward:
    """A ``RewardModel`` over a pooling engine, laid out by the model family's convention.

    A path without text is worth 0 and is never sent. A path longer than the reward model can read raises
    ``PathTooLong``: cropping would score a solution without its question.

    Because these models are causal, the score of a step depends only on what stands before it. Scores are therefore
    remembered by that beginning, and a path that is the start of one already scored costs nothing.

    Args:
        classifier: The pooling engine.
        tokenizer: The reward model's own tokenizer.
        convention: Its family's layout.
        aggregate: Name in ``AGGREGATES``; empty for the family's published default.

    Raises:
        StartupError: The tokenizer has no step tag.
    """

    classifier: TokenClassifier
    tokenizer: Tokenizer
    convention: TagConvention
    aggregate: str = ""
    top_logprobs: int = 0
    _tag: int = field(init=False)
    _memory: ScoreMemory = field(init=False, default_factory=ScoreMemory)

    def __post_init__(self) -> None:
        self._tag = only_token(self.tokenizer, self.convention.tag)
        self.aggregate = self.aggregate or self.convention.aggregate

    async def score(self, paths: Sequence[Path]) -> list[PathScore]:
        """Scores each path, in order. All paths go to the engine at once.

        Raises:
            PathTooLong: A path is longer than the model reads.
            RewardCallFailed: The call failed, or a score is not a number.
            RewardDead: The reward engine is gone.
            StepMismatch: The engine gave another number of scores than there are steps.
        """
        layouts = [self._layout(path) for path in paths]
        keys = [_beginnings(layout) for layout in layouts]
        known = self._memory.recall(key for wanted in keys for key in wanted)
        unknown = [i for i, wanted in enumerate(keys) if any(key not in known for key in wanted)]
        rows = await self.classifier.classify([layouts[i].token_ids for i in unknown]) if unknown else []
        if len(rows) != len(unknown):
            raise StepMismatch(f"The reward engine answered {len(rows)} of {len(unknown)} paths.")
        for i, probabilities in zip(unknown, rows, strict=True):
            read = dict(zip(keys[i], self._read(probabilities, layouts[i]), strict=True))
            known |= read
            self._memory.remember(read)
        return [path_score([known[key] for key in wanted], self.aggregate) for wanted in keys]

    def _layout(self, path: Path) -> Layout:
        steps = self.convention.steps(path.text)
        if not steps:
            return Layout((), ())
        layout = self.convention.lay(self.tokenizer, path, steps)
        if len(layout.marks) != len(steps):
            raise StepMismatch(f"The reward model's prompt holds {len(layout.marks)} step tags for {len(steps)} steps.")
        return layout

    def _read(self, probabilities: FloatArray, layout: Layout) -> list[float]:
        """Reads one score per step by its row. Zeros are scores too: nothing is dropped, nothing shifts.

        The engine gives a row for every tag of the prompt; those that end no step (line ends in a question) are left.
        """
        tags = [place for place, token in enumerate(layout.token_ids) if token == self._tag]
        fits = probabilities.ndim == 2 and probabilities.shape[1] > self.convention.good_label
        if not fits or len(probabilities) != len(tags):
            shape, steps = probabilities.shape, len(layout.marks)
            raise StepMismatch(f"The reward model gave scores of shape {shape} for {steps} steps ({len(tags)} tags).")
        rows = [tags.index(mark) for mark in layout.marks]
        column = probabilities[rows, self.convention.good_label]
        if not np.isfinite(column).all():
            raise RewardCallFailed("The reward model gave a score that is not a number.")
        return [float(score) for score in np.clip(column, 0.0, 1.0)]


def path_score(scores: Sequence[float], aggregate: str) -> PathScore:
    """The score of a path from those of its steps; 0 for a path without any."""
    return PathScore(AGGREGATES[aggregate](scores) if scores else 0.0, tuple(scores))


def _beginnings(layout: Layout) -> list[bytes]:
    """A digest of the prompt up to and including each mark."""
    starts = [0, *(mark + 1 for mark in layout.marks)]
    pieces = (
        np.asarray(layout.token_ids[start : mark + 1], dtype=np.int32).tobytes()
        for start, mark in zip(starts, layout.marks, strict=False)  # the last start follows the last mark
    )
    return beginnings(pieces)
