"""Traces as JSON lines in a folder: a new file when one is full, the oldest deleted when all are too large together.

One process at a time writes to a folder. Knows nothing of what a line holds.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from mcts.errors import StartupError

_OURS = re.compile(r"searches-\d{8}T\d{6}Z-\d{4}\.jsonl")
"""Only such files are ever deleted."""

OWNER_ONLY = 0o700
"""Rights of a folder that is made here: traces may hold what people asked."""


class LineTooLong(Exception):
    """A line that is larger than all files together may be."""


class TraceFolder:
    """Writes lines; used by one thread.

    Args:
        path: The folder, made if it is not there.
        file_bytes: Size of a file at which the next line begins a new one, at least 1. Only a longer line makes it
            larger.
        folder_bytes: Most that all files take, at least ``file_bytes``.
        now: Unix time in seconds; names the files.

    Raises:
        StartupError: The folder cannot be made or written to.
    """

    def __init__(self, path: str | Path, file_bytes: int, folder_bytes: int, now: Callable[[], float]) -> None:
        self._path, self._now = Path(path), now
        self._file_bytes, self._folder_bytes = file_bytes, folder_bytes
        self._file: FileIO | None = None
        self._size = 0  # of the file that is open
        try:
            self._path.mkdir(OWNER_ONLY, parents=True, exist_ok=True)
            probe = self._path / ".espalier-probe"
            probe.write_bytes(b"")
            probe.unlink()
            self._full = deque((each, each.stat().st_size) for each in trace_files(self._path))
        except OSError as error:
            raise StartupError(f"trace_folder {str(path)!r} cannot be written to: {error.strerror}") from None
        self._full_bytes = sum(size for _, size in self._full)  # files that are not open, oldest first

    def write(self, line: bytes) -> None:
        """Writes a line, whose end is added.

        Raises:
            OSError: The disk is full or gone; the next line begins a new file.
            LineTooLong: The line is larger than the folder may be.
        """
        size = len(line) + 1
        if size > self._folder_bytes:
            raise LineTooLong
        if self._file and self._size + size > self._file_bytes:
            self.close()
        self._make_room(size)
        try:
            if self._file is None:
                self._file, self._size = self._opened(), 0
            self._file.write(line + b"\n")
            self._size += size
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Ends the file that is open."""
        if self._file is None:
            return
        path = Path(str(self._file.name))
        self._file.close()
        self._file = None
        size = path.stat().st_size if path.exists() else 0  # a write that failed may have left a part
        self._full.append((path, size))
        self._full_bytes += size

    def _make_room(self, size: int) -> None:
        """Deletes the oldest files until so many bytes have room; the open one last."""
        if self._file and self._size + size > self._folder_bytes:
            self.close()
        while self._full and self._full_bytes + (self._size if self._file else 0) + size > self._folder_bytes:
            oldest, freed = self._full.popleft()
            oldest.unlink(missing_ok=True)
            self._full_bytes -= freed

    def _opened(self) -> FileIO:
        """A new file. Its name sorts behind those of all others, also when the clock was set back."""
        began = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        last = self._full[-1][0].name if self._full else ""
        stamp, number = max((began, 0), (last[9:25], int(last[26:30]) + 1) if last else ("", 0))
        if number > 9999:
            raise OSError("ten thousand files of traces in one second")
        return FileIO(self._path / f"searches-{stamp}-{number:04}.jsonl", "x", opener=_owners)


def _owners(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def trace_files(folder: Path) -> list[Path]:
    """The files of traces in a folder, oldest first.

    Raises:
        OSError: The folder cannot be read.
    """
    return sorted(each for each in folder.iterdir() if _OURS.fullmatch(each.name))
