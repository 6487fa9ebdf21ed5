"""Limits on one search, what it has spent so far, and why it stopped. Time comes from an injected clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

Clock = Callable[[], float]
"""Seconds since some fixed point; never falls."""


class StopReason(StrEnum):
    """Why a search ended."""

    SIMULATIONS = "simulations"  # all simulations (or samples) were done
    TOKENS = "tokens"  # no tokens left for another call, or for the whole of the last one
    DEADLINE = "deadline"  # seconds ran out; open calls were cancelled
    EXHAUSTED = "exhausted"  # nothing left to expand
    DECIDED = "decided"  # the vote can no longer change
    CANCELLED = "cancelled"  # the client went away
    FAILED = "failed"  # an engine failed and the best answer so far was given


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits on one search; the first to be reached ends it.

    Args:
        simulations: Most simulations of a tree search; at least 1. None is no limit.
        tokens: Most generated tokens over the whole search; at least 1. A call is only made when its worst case fits
            what is left, its ``max_tokens`` lowered if need be, so the limit is never exceeded.
        seconds: Longest time until the answer is picked; above 0.
    """

    simulations: int | None = 32
    tokens: int | None = None
    seconds: float | None = None


@dataclass(slots=True, eq=False)
class Meter:
    """What one search has spent. Tokens are reserved before a call and settled after it."""

    budget: Budget
    clock: Clock = time.monotonic

    simulations: int = 0
    engine_calls: int = 0
    generated_tokens: int = 0
    cached_tokens: int = 0
    reward_calls: int = 0
    reserved_tokens: int = 0
    started: float = field(default=-1.0)

    def __post_init__(self) -> None:
        if self.started < 0:
            self.started = self.clock()

    @property
    def seconds(self) -> float:
        """Seconds since the search began."""
        return self.clock() - self.started

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the deadline, never below 0; None without one."""
        return None if self.budget.seconds is None else max(0.0, self.budget.seconds - self.seconds)

    @property
    def tokens_left(self) -> int | None:
        """Tokens neither generated nor reserved; None without a limit."""
        if self.budget.tokens is None:
            return None
        return max(0, self.budget.tokens - self.generated_tokens - self.reserved_tokens)

    @property
    def simulations_left(self) -> bool:
        """Whether another simulation may begin."""
        return self.budget.simulations is None or self.simulations < self.budget.simulations

    def reserve(self, n: int, max_tokens: int) -> int:
        """Reserves room for ``n`` continuations.

        Returns:
            The tokens each of them may have, at most ``max_tokens``; 0 when there is no room.
        """
        left = self.tokens_left
        granted = max_tokens if left is None else min(max_tokens, left // n)
        self.reserved_tokens += granted * n
        return granted

    def settle(self, n: int, granted: int, generated: int, cached: int = 0) -> None:
        """Gives back a reservation and books what was really generated, as far as the engine tells."""
        self.reserved_tokens -= granted * n
        self.generated_tokens += generated
        self.cached_tokens += cached
        self.engine_calls += 1
