"""The endpoints of traces: the latest searches, and the whole of one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from server.middleware import key_of
from server.responses import ERRORS
from server.runtime import runtime_of
from server.schemas.trace import SearchList, SearchQuery, SearchTrace
from server.traces.document import to_json
from server.traces.listing import page_of

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
    return Response(to_json(page_of(searches, asked)), media_type="application/json")


@router.get("/v1/searches/{search_id}", response_model=SearchTrace, responses=FAULTS)
async def get_search(search_id: str, request: Request) -> Response:
    """One search, whole: `search.id` of a reply is its id. A search that still runs is told as far as it is."""
    trace = await runtime_of(request).traces.trace(search_id, key_of(request.scope))
    return Response(trace, media_type="application/json")
