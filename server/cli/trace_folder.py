"""Traces out of the files that a server has written: ``trace_folder``. Knows no server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcts.errors import InvalidRequest, StartupError
from server.cli.service import Refused
from server.schemas.trace import SearchListing, SearchQuery
from server.traces.folder import trace_files
from server.traces.listing import page_of


def listed_in(folder: Path, asked: SearchQuery) -> dict[str, Any]:
    """A page of the searches in a folder, those that ended last first.

    Raises:
        Refused: What is asked for is not there.
        StartupError: The folder cannot be read.
    """
    names = SearchListing.model_fields
    listings = ({name: trace.get(name) for name in names} for trace in _traces(folder))
    try:
        return page_of(listings, asked)
    except InvalidRequest as error:
        raise Refused(str(error)) from None


def trace_in(folder: Path, search_id: str) -> dict[str, Any]:
    """The trace of a search.

    Raises:
        Refused: It is not there.
        StartupError: The folder cannot be read.
    """
    mark = json.dumps(search_id, ensure_ascii=False).encode("utf-8", "replace")  # saves reading the other lines
    found = (trace for trace in _traces(folder, mark) if trace.get("id") == search_id)
    if trace := next(found, None):
        return trace
    raise Refused(f"the folder {str(folder)!r} has no trace of the search {search_id[:100]!r}")


def _traces(folder: Path, mark: bytes = b"") -> Iterator[dict[str, Any]]:
    """The traces of all lines that hold ``mark``, the last one first. Lines that a full disk cut are passed over."""
    try:
        for file in reversed(trace_files(folder)):
            for line in reversed(file.read_bytes().split(b"\n")):
                if mark in line and isinstance(trace := _read(line), dict):
                    yield trace
    except OSError as error:
        raise StartupError(f"--folder {str(folder)!r} cannot be read: {error.strerror}") from None


def _read(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
