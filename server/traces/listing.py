"""A page of searches: which ones are wanted, and how many."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import dropwhile, islice
from typing import Any

from mcts.errors import InvalidRequest
from mcts.strategies import STRATEGIES
from server.schemas.trace import SearchQuery


def page_of(searches: Iterable[dict[str, Any]], asked: SearchQuery) -> dict[str, Any]:
    """The page, as ``SearchList``.

    Args:
        searches: All of them in their order, as ``SearchListing``; no more are taken than are needed.
        asked: Which are wanted.

    Raises:
        InvalidRequest: There is no such strategy, or no such search as the page is to begin behind.
    """
    if asked.strategy is not None and asked.strategy not in STRATEGIES:
        raise InvalidRequest(f"strategy must be one of: {', '.join(STRATEGIES)}.", "strategy")
    left = iter(searches)
    if asked.after is not None:
        left = dropwhile(lambda each: each["id"] != asked.after, left)
        if next(left, None) is None:
            raise InvalidRequest(f"after: no trace of the search {asked.after[:100]!r} is kept.", "after")
    wanted = {"strategy": asked.strategy, "stop_reason": asked.stop_reason, "state": asked.state}
    given = {name: value for name, value in wanted.items() if value is not None}
    found = (each for each in left if all(each[name] == value for name, value in given.items()))
    page = list(islice(found, asked.limit + 1))
    return {"object": "list", "data": page[: asked.limit], "has_more": len(page) > asked.limit}
