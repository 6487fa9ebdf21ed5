"""Whether an engine that has work to do still shows signs of life. Knows no engine: it is told of both."""

from __future__ import annotations

import time

from mcts.budget import Clock


class Pulse:
    """An engine's signs of life.

    Args:
        seconds: Longest silence of a busy engine, above 0; None is no limit.
        clock: Seconds, injected.
    """

    def __init__(self, seconds: float | None, clock: Clock = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._latest = clock()

    def beat(self) -> None:
        """The engine has just told something."""
        self._latest = self._clock()

    def stopped(self, busy: int) -> bool:
        """Whether a busy engine has been silent for too long. Ask regularly: an idle one may be silent for ever.

        Args:
            busy: Calls that are under way.
        """
        if not busy:
            self.beat()
        return self._seconds is not None and self._clock() - self._latest > self._seconds
