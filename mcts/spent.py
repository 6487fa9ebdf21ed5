"""What a call to an engine has cost, told to whoever cancelled it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Spent:
    """Tokens that a call generated beside those it gave; 0 where the engine cannot tell.

    They are what it had when it was cancelled, and what was lost with an engine before another took the call over.
    """

    tokens: int = 0
