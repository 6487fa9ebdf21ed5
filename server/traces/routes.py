"""The endpoints of traces: the latest searches, and the whole of one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from mcts.errors import InvalidRequest
from mcts.strategies import STRATEGIES
from server.middleware import key_of
from server.responses import ERRORS
from server.runtime import runtime_of
from server.schemas.trace import SearchList, SearchQuery, SearchTrace
from server.traces.document import to_json

router = APIRouter(tags=["searches"])

FAULTS: dict[int | str, dict[str, Any]] = {
    400: ERRORS[400],
    401: ERRORS[401],
    404: {**ERRORS[404], "description": "No trace of such a search is kept, or another key asked for it."},
    500: ERRORS[500],
    "default": ERRORS["default"],
}


@router.get("/v1/searches", response_model=SearchList, responses=FAULTS)
async def list_searches(asked: Annotated[SearchQuery, Query()], request: Request) -> Response:
    """The latest searches, running ones included, the latest first. Each key sees its own."""
    searches = runtime_of(request).traces.summaries(key_of(request.scope))
    if asked.strategy is not None and asked.strategy not in STRATEGIES:
        raise InvalidRequest(f"strategy must be one of: {', '.join(STRATEGIES)}.", "strategy")
    if asked.after is not None:
        places = [place for place, each in enumerate(searches) if each["id"] == asked.after]
        if not places:
            raise InvalidRequest(f"after: no trace of the search {asked.after[:100]!r} is kept.", "after")
        searches = searches[places[0] + 1 :]
    wanted = {"strategy": asked.strategy, "stop_reason": asked.stop_reason, "state": asked.state}
    given = {name: value for name, value in wanted.items() if value is not None}
    matching = [each for each in searches if all(each[name] == value for name, value in given.items())]
    page = {"object": "list", "data": matching[: asked.limit], "has_more": len(matching) > asked.limit}
    return Response(to_json(page), media_type="application/json")


@router.get("/v1/searches/{search_id}", response_model=SearchTrace, responses=FAULTS)
async def get_search(search_id: str, request: Request) -> Response:
    """One search, whole: `search.id` of a reply is its id. A search that still runs is told as far as it is."""
    trace = await runtime_of(request).traces.trace(search_id, key_of(request.scope))
    return Response(trace, media_type="application/json")
