"""One search's account with its engine, for rewards that write: metered, within the budget, repeated once, seeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mcts.errors import EngineCallFailed, OutOfTokens, PathTooLong, PromptTooLong
from mcts.ports import Continuation, SampleRequest
from mcts.seeds import derive_seed

if TYPE_CHECKING:
    from mcts.calls import Calls

ATTEMPTS = 2
"""Tries of a call that failed but may succeed. Sampling and scoring change nothing, so repeating them is safe."""


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """Implements ``reward_ports.Sampler`` over a search's calls."""

    calls: Calls

    async def sample(self, request: SampleRequest) -> Sequence[Continuation]:
        """Draws what a reward asks for. Never more than the budget has room for, and never less than was asked.

        Raises:
            OutOfTokens: The whole of it does not fit the budget, even when no other call is open.
            PathTooLong: The prompt is longer than the engine reads.
            EngineCallFailed: The call failed, and so did its repetition.
            EngineDead: The engine is gone.
        """
        task = self.calls.task
        for attempt in range(ATTEMPTS):
            seed = derive_seed(task.seed, f"judge/{request.seed or 0}", request.prefix, attempt)
            await self._reserve(request)
            try:
                return await self.calls.draw(replace(request, seed=seed, search_id=task.search_id))
            except PromptTooLong as error:
                raise PathTooLong(f"A path is too long to be judged: {error}") from error
            except EngineCallFailed:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")  # the last attempt returns or raises

    async def _reserve(self, request: SampleRequest) -> None:
        """Reserves the call's worst case, waiting for open calls to give back what they do not use."""
        meter, worst = self.calls.meter, request.n * request.max_tokens
        while meter.tokens_left is not None and meter.tokens_left < worst:
            if not meter.reserved_tokens:
                raise OutOfTokens("The token budget has no room for a verdict.")
            await self.calls.room.wait()
        meter.reserve(request.n, request.max_tokens)
