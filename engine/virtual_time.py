"""An event loop whose clock jumps to the next timer as soon as nothing else is to do: seconds pass in microseconds.

For tests and for simulating schedules; the idea is trio's ``MockClock(autojump_threshold=0)``. Everything that takes
its time from the loop (``asyncio.sleep``, ``asyncio.timeout``) is virtual in it. Give searches ``loop.time`` as their
clock. No threads, no sockets: while it waits for anything but a timer nothing will ever happen, and that is an error.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Deadlock(RuntimeError):
    """Every task waits, and no timer is set."""


class _JumpingSelector(selectors.SelectSelector):
    """Instead of waiting it moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Deadlock("Every task waits, and no timer is set.")
            self.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now


def run_virtually(main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Runs a coroutine function to its end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())
