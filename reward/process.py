"""Process rewards: a second model gives every step of a path a probability of being right."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mcts.errors import RewardCallFailed, StartupError, StepMismatch
from mcts.ports import FloatArray, Path, PathScore, TokenClassifier, Tokenizer
from reward.conventions import AGGREGATES, Convention

CACHED_SCORES = 65_536
"""Scores remembered; about 10 MB."""


@dataclass(slots=True, eq=False)
class ProcessReward:
    """A ``RewardModel`` over a pooling engine, laid out by the model family's convention.

    A path without text is worth 0 and is never sent. A path longer than the reward model can read raises
    ``RewardCallFailed``: cropping would score a solution without its question, so the serving side is expected to
    give the reward model at least the context of the generating one.

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
    convention: Convention
    aggregate: str = ""
    top_logprobs: int = 0
    _tag: int = field(init=False)
    _remembered: OrderedDict[bytes, float] = field(init=False, default_factory=OrderedDict)

    def __post_init__(self) -> None:
        tag = self.tokenizer.encode(self.convention.step_tag)
        if len(tag) != 1:
            raise StartupError(f"The reward model's tokenizer has no step tag {self.convention.step_tag!r}.")
        self._tag = tag[0]
        self.aggregate = self.aggregate or self.convention.aggregate

    async def score(self, paths: Sequence[Path]) -> list[PathScore]:
        """Scores each path, in order. All paths go to the engine at once.

        Raises:
            RewardCallFailed: The call failed, a path is too long, or a score is not a number.
            RewardDead: The reward engine is gone.
            StepMismatch: The engine gave another number of scores than there are steps.
        """
        prompts = [self._prompt(path) for path in paths]
        keys = [_beginnings(ids, self._tag) for ids in prompts]
        unknown = [i for i, wanted in enumerate(keys) if any(key not in self._remembered for key in wanted)]
        scores = [[self._recall(key) for key in wanted] if i not in unknown else [] for i, wanted in enumerate(keys)]
        rows = await self.classifier.classify([prompts[i] for i in unknown]) if unknown else []
        if len(rows) != len(unknown):
            raise StepMismatch(f"The reward engine answered {len(rows)} of {len(unknown)} paths.")
        for i, probabilities in zip(unknown, rows, strict=True):
            scores[i] = self._read(probabilities, len(keys[i]))
            self._remember(keys[i], scores[i])
        return [self._path_score(each) for each in scores]

    def _prompt(self, path: Path) -> list[int]:
        ids, steps = self.convention.render(self.tokenizer, path)
        tags = ids.count(self._tag)
        if tags != steps:
            raise StepMismatch(f"The reward model's prompt holds {tags} step tags for {steps} steps.")
        return ids

    def _read(self, probabilities: FloatArray, steps: int) -> list[float]:
        """Reads one score per step by its row. Zeros are scores too: nothing is dropped, nothing shifts."""
        if probabilities.ndim != 2 or len(probabilities) != steps:
            raise StepMismatch(f"The reward model gave scores of shape {probabilities.shape} for {steps} steps.")
        column = probabilities[:, self.convention.good_label]
        if not np.isfinite(column).all():
            raise RewardCallFailed("The reward model gave a score that is not a number.")
        return [float(score) for score in np.clip(column, 0.0, 1.0)]

    def _path_score(self, scores: Sequence[float]) -> PathScore:
        value = AGGREGATES[self.aggregate](scores) if scores else 0.0
        return PathScore(value=value, steps=tuple(scores))

    def _recall(self, key: bytes) -> float:
        self._remembered.move_to_end(key)
        return self._remembered[key]

    def _remember(self, keys: Sequence[bytes], scores: Sequence[float]) -> None:
        self._remembered.update(zip(keys, scores, strict=True))
        while len(self._remembered) > CACHED_SCORES:
            self._remembered.popitem(last=False)


def _beginnings(ids: Sequence[int], tag: int) -> list[bytes]:
    """A digest of the prompt up to and including each step tag."""
    digests: list[bytes] = []
    running = hashlib.blake2b(digest_size=16)
    start = 0
    for end, token in enumerate(ids, start=1):
        if token == tag:
            running.update(np.asarray(ids[start:end], dtype=np.int32).tobytes())
            digests.append(running.copy().digest())
            start = end
    return digests
