"""A thread that works off what is put before it, so that the event loop need not wait. Knows not what the work is."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)

Item = TypeVar("Item")


class BackgroundWriter(Generic[Item]):
    """One thread and a bounded queue. The thread begins with the first item.

    Args:
        work: Called with each item, in their order, in the thread. What it raises ends only that item.
        most: Items that may wait, at least 1.
        name: Of the thread.
    """

    def __init__(self, work: Callable[[Item], None], most: int, name: str) -> None:
        self._work, self._name = work, name
        self._waiting: queue.Queue[Item | None] = queue.Queue(most)
        self._thread: threading.Thread | None = None
        self._closed = False

    def offer(self, item: Item) -> bool:
        """Puts an item before the thread; False, at once, when too many wait or it is closed."""
        if self._closed:
            return False
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            return False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return True

    def close(self, seconds: float) -> bool:
        """Takes nothing more and waits until what waits is done; False when that took too long. Blocks."""
        self._closed = True
        if self._thread is None:
            return True
        try:
            self._waiting.put(None, timeout=seconds)
        except queue.Full:
            return False
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            try:
                self._work(item)
            except Exception:  # noqa: BLE001 - whatever one item does, the next one is still due
                _log.exception("%s: an item failed", self._name)
            del item  # what was worked off must not live on until the next one comes
