"""The ports through which rewards reach the engines that serve them. A search itself knows none of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from mcts.ports import Continuation, FloatArray, SampleRequest


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
            RewardCallFailed: This call failed, or a prompt is longer than the model reads.
            RewardDead: The reward engine is gone.
        """
        ...
