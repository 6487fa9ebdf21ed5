"""Which search the current task works for: the key by which calls that do not say so themselves find their server.

Rewards are asked through ports that know paths and prompts but no searches. What runs a search names it here, and
every task that the search starts inherits the name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_search: ContextVar[str] = ContextVar("search", default="")


def current_search() -> str:
    """The search that the current task works for; empty where none was named."""
    return _search.get()


@contextmanager
def working_for(search_id: str) -> Iterator[None]:
    """Names the search that this task and all that it starts work for."""
    token = _search.set(search_id)
    try:
        yield
    finally:
        _search.reset(token)
