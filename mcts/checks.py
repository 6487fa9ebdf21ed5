"""Whether a reply of an engine or a reward model can be used. A poisoned one is a failed call, never a value."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mcts.errors import EngineCallFailed, RewardCallFailed, StepMismatch
from mcts.ports import Continuation, PathScore, SampleRequest

ROUNDING = 1e-6
"""How far outside [0, 1] a reward may lie and still be taken for a rounding error."""

ROUNDING_LOG = 1e-3
"""How far above 0 a log-probability may lie and still be taken for a rounding error."""


def check_continuation(continuation: Continuation, request: SampleRequest) -> None:
    """Refuses a reply that would poison the search.

    Raises:
        EngineCallFailed: Arrays of the wrong length, values that are not numbers, or more tokens than were allowed.
    """
    count = len(continuation.token_ids)
    arrays = (continuation.offsets, continuation.logprobs, continuation.top_ids, continuation.top_logprobs)
    if any(len(array) != count for array in arrays):
        raise EngineCallFailed("The engine's arrays do not match its tokens.")
    if count > request.max_tokens:
        raise EngineCallFailed(f"The engine gave {count} tokens where {request.max_tokens} were allowed.")
    if np.isnan(continuation.logprobs).any() or np.isnan(continuation.top_logprobs).any():
        raise EngineCallFailed("The engine gave a log-probability that is not a number.")
    if (continuation.logprobs > ROUNDING_LOG).any() or (continuation.top_logprobs > ROUNDING_LOG).any():
        raise EngineCallFailed("The engine gave a log-probability above 0.")


def check_whole(continuation: Continuation) -> None:
    """Refuses a continuation that should be whole and is not. A blank answer has its end-of-sequence token.

    Raises:
        EngineCallFailed: It has not ended, or has no token.
    """
    if continuation.finish is None:
        raise EngineCallFailed("The engine gave a continuation that has not ended.")
    if not continuation.token_ids:
        raise EngineCallFailed("The engine gave a continuation without a token.")


def checked_scores(scores: Sequence[PathScore], paths: int) -> tuple[PathScore, ...]:
    """Refuses scores that would poison the search; rounding errors beyond [0, 1] are clipped.

    Raises:
        StepMismatch: There are not as many scores as paths.
        RewardCallFailed: A reward is not a number between 0 and 1.
    """
    if len(scores) != paths:
        raise StepMismatch(f"The reward model gave {len(scores)} scores for {paths} paths.")
    return tuple(_checked(score) for score in scores)


def _checked(score: PathScore) -> PathScore:
    """A score whose rewards all lie in [0, 1]; a rounding error beyond is clipped."""
    rewards = (score.value, *score.steps)
    if not all(math.isfinite(value) and -ROUNDING <= value <= 1 + ROUNDING for value in rewards):
        raise RewardCallFailed("The reward model gave a reward that is not a number between 0 and 1.")
    return PathScore(_clipped(score.value), tuple(map(_clipped, score.steps)), score.critique)


def _clipped(value: float) -> float:
    return min(1.0, max(0.0, value))
