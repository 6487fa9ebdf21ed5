"""Room in the token budget for calls that are open side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from mcts.budget import Meter
from mcts.ports import Continuation, Finish


class News:
    """Lets tasks wait until something changed. Whoever waits must look again: news is never kept."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Wakes everybody who waits now."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Waits for the next news."""
        await self._event.wait()


@dataclass(frozen=True, slots=True)
class Grant:
    """Room in the token budget: ``n`` continuations of at most ``max_tokens`` tokens each."""

    n: int
    max_tokens: int

    def cut(self, drawn: Sequence[Continuation], wanted: int) -> bool:
        """Whether it ended one of the texts drawn, of which each was wanted with up to ``wanted`` tokens."""
        return self.max_tokens < wanted and any(one.finish is Finish.LENGTH for one in drawn)


async def granted(meter: Meter, room: News, n: int, max_tokens: int) -> Grant | None:
    """Reserves room for a call's worst case, waiting for open calls to give back what they do not use.

    A call is made smaller only when nothing else is open: first in continuations, then in tokens.

    Args:
        meter: The search's account of tokens.
        room: Told whenever a call gives back what it did not use.
        n: How many continuations are wanted.
        max_tokens: Most tokens of each.

    Returns:
        What was reserved; None when there is no room at all, in the path or in the budget.
    """
    while max_tokens > 0:
        left = meter.tokens_left
        if left is None or left >= n * max_tokens:
            return Grant(n, meter.reserve(n, max_tokens))
        if not meter.reserved_tokens:
            fitting = max(1, left // max_tokens)
            return Grant(fitting, meter.reserve(fitting, max_tokens)) if left else None
        await room.wait()
    return None
