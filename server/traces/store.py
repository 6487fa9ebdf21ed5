"""The latest searches: recorded while they run, packed when they have ended, given up oldest first.

Whatever costs time (making JSON, compressing it, writing it) happens in a thread. Until a trace is packed it is kept as
it was recorded and can be read like any other, so that a search can be opened as soon as its answer is there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcts.errors import UnknownSearch
from server.metrics import Metrics
from server.settings import Settings
from server.traces.document import rendered, summary
from server.traces.folder import LineTooLong, TraceFolder
from server.traces.recording import Asked, Recording
from server.traces.spelling import Spelling
from server.traces.writer import BackgroundWriter

_log = logging.getLogger("espalier.traces")

MOST_WAITING = 256
"""Ended searches that may wait to be packed and written."""

CLOSE_SECONDS = 5.0
"""How long the server's end waits for them."""

SUMMARY_BYTES = 2048
"""About what a search takes besides its packed trace: what lists tell of it."""


@dataclass(slots=True, eq=False)
class _Kept:
    """An ended search: as it was recorded or, later, packed."""

    recording: Recording | None
    key: str
    number: int
    size: int  # bytes of memory, about
    told: dict[str, Any]
    packed: bytes = b""


class Traces:
    """The traces of one server.

    Args:
        settings: How many are kept, where else they go, and whether with texts.
        metrics: Where lost ones are counted.
        now: Unix time in seconds.

    Raises:
        StartupError: The folder cannot be written to.
    """

    def __init__(self, settings: Settings, metrics: Metrics, now: Callable[[], float] = time.time) -> None:
        self._settings, self._now, self._texts = settings, now, settings.traces_texts
        self._dropped = metrics.traces_dropped
        self._folder = (
            TraceFolder(settings.trace_folder, settings.trace_file_bytes, settings.trace_folder_bytes, now)
            if settings.trace_folder
            else None
        )
        self._writer = BackgroundWriter[Recording](self._work_off, MOST_WAITING, "traces")
        self._lock = threading.Lock()  # of what stands below; the event loop and the thread share it
        self._running: dict[str, Recording] = {}
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._size = self._count = 0
        self._spelling: Spelling | None = None
        metrics.traces.set_function(lambda: len(self._kept))
        metrics.trace_bytes.set_function(lambda: self._size)

    def begin(self, asked: Asked, waited: float, key: str) -> Recording:
        """Begins to record a search.

        Args:
            asked: The search.
            waited: Seconds that it waited for a place.
            key: Names the key that it was asked with; empty where the server has none.
        """
        self._count += 1
        most = self._settings.trace_search_bytes if self._settings.traces_searches else 0
        recording = Recording(asked, key, self._count, self._now(), waited, most, self._ended)
        if most:
            with self._lock:
                self._running[recording.id] = recording
        return recording

    def summaries(self, key: str) -> list[dict[str, Any]]:
        """What is known of each search that a key may see, the latest first."""
        with self._lock:
            running = list(self._running.values())
            kept = list(self._kept.values())
        told = [
            (each.number, summary(each.snapshot(whole=False), texts=self._texts)) for each in running if each.key == key
        ]
        told += [(each.number, each.told) for each in kept if each.key == key]
        return [fields for _, fields in sorted(told, key=lambda pair: -pair[0])]

    async def trace(self, search_id: str, key: str) -> bytes:
        """The whole trace of a search as JSON.

        Raises:
            UnknownSearch: There is none of that id that the key may see.
        """
        with self._lock:
            kept = self._kept.get(search_id)
            recording = kept.recording if kept else self._running.get(search_id)
            packed = kept.packed if kept else b""
            owner = kept.key if kept else recording.key if recording else None
        if owner != key:
            raise UnknownSearch(f"No trace of the search {search_id[:100]!r} is kept; GET /v1/searches lists them.")
        if recording is None:
            return await asyncio.to_thread(zlib.decompress, packed)
        shot = recording.snapshot()
        return await asyncio.to_thread(rendered, shot, self._spelling_of(recording), texts=self._texts)

    def close(self) -> None:
        """Writes what waits, as far as there is time. Blocks; nothing is recorded afterwards."""
        if not self._writer.close(CLOSE_SECONDS):
            _log.warning("traces were not written: the thread that writes them does not come to its end")
        elif self._folder:
            self._folder.close()

    def _ended(self, recording: Recording) -> None:
        """Keeps a search that has ended, and has it packed. Called on the event loop."""
        if not recording.most:
            return
        told = summary(recording.snapshot(whole=False), texts=self._texts)
        kept = _Kept(recording, recording.key, recording.number, recording.cost + SUMMARY_BYTES, told)
        with self._lock:
            del self._running[recording.id]
            self._kept[recording.id] = kept
            self._size += kept.size
            self._trim()
        if not self._writer.offer(recording) and self._folder:
            self._dropped.labels("queue_full").inc()

    def _trim(self) -> None:
        """Gives up the oldest until count and size are within their bounds."""
        settings = self._settings
        while self._kept and (len(self._kept) > settings.trace_searches or self._size > settings.trace_memory_bytes):
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size

    def _work_off(self, recording: Recording) -> None:
        """Packs a search and writes it to the folder. Runs in the writer's thread."""
        if recording.id not in self._kept and not self._folder:
            return  # given up meanwhile
        try:
            line = rendered(recording.snapshot(), self._spelling_of(recording), texts=self._texts)
        except Exception:
            self._dropped.labels("failed").inc()
            self._forget(recording.id)
            raise
        self._pack(recording.id, zlib.compress(line, level=1))
        if self._folder:
            self._write(self._folder, line)

    def _pack(self, search_id: str, packed: bytes) -> None:
        with self._lock:
            kept = self._kept.get(search_id)
            if kept:
                self._size += len(packed) + SUMMARY_BYTES - kept.size
                kept.recording, kept.packed, kept.size = None, packed, len(packed) + SUMMARY_BYTES
                self._trim()

    def _forget(self, search_id: str) -> None:
        with self._lock:
            if kept := self._kept.pop(search_id, None):
                self._size -= kept.size

    def _write(self, folder: TraceFolder, line: bytes) -> None:
        try:
            folder.write(line)
        except LineTooLong:
            self._dropped.labels("too_large").inc()
        except OSError as error:
            self._dropped.labels("write_failed").inc()
            _log.error("a trace was not written to trace_folder: %s", error.strerror or error)

    def _spelling_of(self, recording: Recording) -> Spelling:
        """What spells the tokens of the engine; one for all searches, since a server has one engine."""
        if self._spelling is None:
            self._spelling = Spelling(recording.asked.backend.tokenizer)
        return self._spelling
