"""How likely a model would write each of a few labels next, read through the engine's ordinary calls.

A generating engine reports the log-probability of the token it chose, before any restriction on what it may choose.
So a call for one token that must be a label tells that label's log-probability exactly, whatever its rank, and usually
those of the other labels among the alternatives beside it. Any engine can do that; no special endpoint is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcts.checks import check_continuation
from mcts.errors import EngineCallFailed, EngineDead, PathTooLong, PromptTooLong, RewardCallFailed, RewardDead
from mcts.ports import FloatArray, SampleRequest, Sampling
from mcts.reward_ports import Sampler
from mcts.together import together

ALTERNATIVES = 20
"""Likeliest tokens asked for beside the chosen one; the most that engines give."""


async def read_labels(sampler: Sampler, prompt: Sequence[int], label_ids: Sequence[int]) -> FloatArray:
    """Log-probabilities of the labels straight after a prompt, shape ``[labels]``.

    Takes one call where all labels are among the likeliest tokens, otherwise one more for each that is not.

    Raises:
        EngineCallFailed: A call failed, or its reply cannot be used.
        Whatever else ``sampler`` raises.
    """
    known = await _ask(sampler, prompt, tuple(label_ids))
    missing = [label for label in label_ids if label not in known]
    for more in await together(_ask(sampler, prompt, (label,)) for label in missing):
        known |= more
    return np.array([known[label] for label in label_ids], dtype=np.float32)


async def _ask(sampler: Sampler, prompt: Sequence[int], labels: tuple[int, ...]) -> dict[int, float]:
    """One call for one of the labels: what is then known of all tokens."""
    request = SampleRequest(
        prefix=tuple(prompt),
        max_tokens=1,
        sampling=Sampling(temperature=0.0, allowed_token_ids=labels),
        top_logprobs=ALTERNATIVES,
        seed=0,
    )
    replies = await sampler.sample(request)
    if len(replies) != 1 or len(replies[0].token_ids) != 1 or replies[0].token_ids[0] not in labels:
        raise EngineCallFailed("The engine was asked for one label and wrote something else.")
    (reply,) = replies
    check_continuation(reply, request)
    known = dict(zip(map(int, reply.top_ids[0]), map(float, reply.top_logprobs[0]), strict=True))
    return known | {reply.token_ids[0]: float(reply.logprobs[0])}


@dataclass(frozen=True, slots=True, eq=False)
class EngineLabels:
    """Implements ``reward_ports.LabelReader`` over a reward model that runs as a generating engine of its own."""

    engine: Sampler

    async def label_logprobs(self, prompts: Sequence[Sequence[int]], label_ids: Sequence[int]) -> FloatArray:
        """Log-probabilities of the labels straight after each prompt, shape ``[prompts, labels]``, all asked at once.

        Raises:
            RewardCallFailed: A call failed, or a prompt is longer than the model reads.
            RewardDead: The reward engine is gone.
        """
        try:
            rows = await together(read_labels(self.engine, prompt, label_ids) for prompt in prompts)
        except PromptTooLong as error:
            raise PathTooLong(f"The reward model: {error}") from error
        except EngineCallFailed as error:
            raise RewardCallFailed(f"The reward model: {error}") from error
        except EngineDead as error:
            raise RewardDead(f"The reward model: {error}") from error
        return np.stack(rows) if rows else np.zeros((0, len(label_ids)), dtype=np.float32)


def share_of_first(logprobs: FloatArray) -> FloatArray:
    """Softmax over the labels, first column: P(first) / Σ P(label), shape ``[prompts]``, each in [0, 1].

    Equal to the softmax of the labels' logits, which differ from log-probabilities by a constant.

    Raises:
        RewardCallFailed: A log-probability is not a number, or no label is possible at all.
    """
    rows = logprobs.astype(np.float64)
    best = rows.max(axis=1, keepdims=True)
    if np.isnan(rows).any() or not np.isfinite(best).all():
        raise RewardCallFailed("The reward model gave no probability to any label.")
    weights = np.exp(rows - best)
    shares: FloatArray = (weights[:, 0] / weights.sum(axis=1)).astype(np.float32)
    return shares
