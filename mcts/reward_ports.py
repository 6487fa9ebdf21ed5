"""The ports between rewards and engines: what serves reward models, and rewards that the engine of a search writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from mcts.ports import Continuation, FloatArray, Path, PathScore, RewardModel, SampleRequest


class Sampler(Protocol):
    """What draws continuations: an engine, or one search's account with it."""

    async def sample(self, request: SampleRequest) -> Sequence[Continuation]:
        """Draws ``request.n`` continuations, as ``Engine.sample`` does."""
        ...


@runtime_checkable
class TokenClassifier(Protocol):
    """A pooling engine: class probabilities at marked tokens. What process reward models are served through."""

    async def classify(self, prompts: Sequence[Sequence[int]]) -> Sequence[FloatArray]:
        """Gives for each prompt (token ids) the probabilities at its step-tag tokens, shape ``[tags, labels]``.

        Several labels share 1 between them (softmax); a single one is a probability of its own (sigmoid).

        Raises:
            PathTooLong: A prompt is longer than the model reads.
            RewardCallFailed: This call failed.
            RewardDead: The reward engine is gone.
        """
        ...


@runtime_checkable
class LabelReader(Protocol):
    """A generating engine as a classifier: which of a few tokens it would write next.

    Reward models that are plain causal language models are served through it.
    """

    async def label_logprobs(self, prompts: Sequence[Sequence[int]], label_ids: Sequence[int]) -> FloatArray:
        """Log-probabilities of the label tokens straight after each prompt (token ids), shape ``[prompts, labels]``.

        They are the model's own, over its whole vocabulary; -inf where a label is impossible.

        Raises:
            PathTooLong: A prompt is longer than the model reads.
            RewardCallFailed: This call failed.
            RewardDead: The reward engine is gone.
        """
        ...


@runtime_checkable
class SequenceScorer(Protocol):
    """A sequence classifier with one output. What outcome reward models are served through."""

    async def logits(self, prompts: Sequence[Sequence[int]]) -> FloatArray:
        """The raw output for each prompt (token ids), without any activation, shape ``[prompts]``.

        Raises:
            PathTooLong: A prompt is longer than the model reads.
            RewardCallFailed: This call failed.
            RewardDead: The reward engine is gone.
        """
        ...


@runtime_checkable
class WritingReward(Protocol):
    """What a path is worth by a verdict that the search's own engine writes.

    All it draws goes through ``sampler``, the search's account with its engine: metered, within the budget, cancelled
    with the search.
    """

    @property
    def top_logprobs(self) -> int:
        """How many alternatives per token (0 to 20) the paths it scores must carry."""
        ...

    @property
    def tokens_per_path(self) -> int:
        """Most tokens that it may have written about one path."""
        ...

    async def judge(self, paths: Sequence[Path], sampler: Sampler) -> Sequence[PathScore]:
        """Scores each path, in order.

        Requests to ``sampler`` need no seed of their own: it is derived from the search's. A seed tells apart requests
        that are otherwise equal.

        Raises:
            PathTooLong: The engine cannot read so long a path.
            RewardCallFailed: This call failed.
            VerdictUnreadable: No score could be read.
            OutOfTokens: The search's budget has no room for a verdict.
            EngineError: The search's engine failed.
        """
        ...


AnyReward = RewardModel | WritingReward
"""Whatever can score paths for a search."""
