"""Process rewards from a causal language model: after each step, how likely is the label "right" to come next?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mcts.errors import StepMismatch
from mcts.ports import Path, PathScore, Tokenizer
from mcts.reward_ports import LabelReader
from reward.conventions import LabelConvention, label_ids
from reward.labels import share_of_first
from reward.memory import ScoreMemory, beginnings
from reward.process import path_score
from reward.solutions import turns_of


@dataclass(slots=True, eq=False)
class LabelReward:
    """A ``RewardModel`` over a label reader, asked by the model family's convention.

    Each step has a prompt of its own: the path up to it. The prompts of one path begin alike, so the engine's prefix
    cache reads each step once. Steps whose score is known are not asked about again. A path without text is worth 0
    and is never sent.

    Args:
        reader: The engine that serves the reward model.
        tokenizer: The reward model's own tokenizer.
        convention: Its family's layout and labels.
        aggregate: Name in ``AGGREGATES``; empty for the family's published default.

    Raises:
        StartupError: The tokenizer cannot tell the labels apart.
    """

    reader: LabelReader
    tokenizer: Tokenizer
    convention: LabelConvention
    aggregate: str = ""
    top_logprobs: int = 0
    _labels: tuple[int, ...] = field(init=False)
    _memory: ScoreMemory = field(init=False, default_factory=ScoreMemory)

    def __post_init__(self) -> None:
        self._labels = label_ids(self.tokenizer, self.convention.labels)
        self.aggregate = self.aggregate or self.convention.aggregate

    async def score(self, paths: Sequence[Path]) -> list[PathScore]:
        """Scores each path, in order. All steps that are not known yet are asked about at once, equal ones once.

        Raises:
            PathTooLong: A path is longer than the model reads.
            RewardCallFailed: The call failed, or a score is not a number.
            RewardDead: The reward engine is gone.
            StepMismatch: The engine gave another number of scores than there are steps.
        """
        solutions = [self.convention.steps(path.text) for path in paths]
        keys = [_beginnings(path, steps) for path, steps in zip(paths, solutions, strict=True)]
        known = self._memory.recall(key for wanted in keys for key in wanted)
        prompts: dict[bytes, tuple[int, ...]] = {}
        for path, steps, wanted in zip(paths, solutions, keys, strict=True):
            for end, key in enumerate(wanted, start=1):
                if key not in known and key not in prompts:
                    prompts[key] = self.convention.ask(self.tokenizer, path, steps[:end])
        read = await self._read(prompts) if prompts else {}
        self._memory.remember(read)
        known |= read
        return [path_score([known[key] for key in wanted], self.aggregate) for wanted in keys]

    async def _read(self, prompts: dict[bytes, tuple[int, ...]]) -> dict[bytes, float]:
        """One score per prompt, by its row."""
        rows = await self.reader.label_logprobs(list(prompts.values()), self._labels)
        if rows.shape != (len(prompts), len(self._labels)):
            raise StepMismatch(f"The reward model gave scores of shape {rows.shape} for {len(prompts)} steps.")
        return dict(zip(prompts, map(float, share_of_first(rows)), strict=True))


def _beginnings(path: Path, steps: Sequence[str]) -> list[bytes]:
    """A digest of the question and the steps up to and including each."""
    question = repr([(turn.role, turn.content) for turn in turns_of(path)])
    return beginnings(piece.encode("utf-8", "surrogatepass") for piece in (question, *steps))[1:]
