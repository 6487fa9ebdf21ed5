"""The endpoints. Each does little itself: it asks the runtime and shapes the reply."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from mcts.errors import NotReady
from server.chats import assign, find_preset
from server.counted import JoinedRegistries
from server.errors import error_body, headers_of
from server.interruption import ClientGone, disconnected, interrupted_by
from server.listing import model_card, model_list
from server.replies import completion
from server.runtime import Phase, Runtime
from server.schemas.chat import ChatRequest
from server.schemas.reply import ChatCompletion, ErrorReply, ModelCard, ModelList
from server.searches import run_search
from server.streaming import SearchStream
from server.version import version

router = APIRouter()

CLIENT_CLOSED_REQUEST = 499

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {
        "model": ErrorReply,
        "description": "A field is malformed, out of range, unknown or unsupported; `param` names it.",
    },
    401: {"model": ErrorReply, "description": "No key, or a wrong one."},
    404: {"model": ErrorReply, "description": "The model or preset is not served."},
    413: {"model": ErrorReply, "description": "The body is too large."},
    429: {"model": ErrorReply, "description": "No room for another search; see Retry-After."},
    500: {"model": ErrorReply, "description": "A fault of the server."},
    503: {"model": ErrorReply, "description": "Starting, draining, or an engine failed; see Retry-After."},
    "default": {"model": ErrorReply, "description": "Any other error."},
    504: {"model": ErrorReply, "description": "The deadline passed before any answer existed."},
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; with `stream` a sequence of chunks (ChatCompletionChunk) as server-sent events.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


def runtime_of(request: Request) -> Runtime:
    """The server's state."""
    runtime: Runtime = request.app.state.runtime
    return runtime


@router.post("/v1/chat/completions", response_model=ChatCompletion, responses={**_STREAM, **_ERRORS}, tags=["openai"])
async def create_chat_completion(body: ChatRequest, request: Request) -> Response:
    """Answers a chat by searching."""
    runtime = runtime_of(request)
    assignment = await assign(body, runtime, request.state.request_id, uuid.uuid4().hex)
    if body.stream:
        include_usage = bool(body.stream_options and body.stream_options.include_usage)
        return SearchStream(assignment, runtime, include_usage=include_usage, logprobs=bool(body.logprobs))

    async def searched() -> ChatCompletion:
        async with runtime.admission.place():
            result = await run_search(assignment, runtime)
        return completion(assignment, result, runtime.settings, logprobs=bool(body.logprobs))

    try:
        reply = await interrupted_by(searched(), disconnected(request.receive), ClientGone())
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return JSONResponse(reply.model_dump())


@router.get("/v1/models", responses=_ERRORS, tags=["openai"])
async def list_models(request: Request) -> ModelList:
    """Lists the served model and its presets."""
    return model_list(runtime_of(request))


@router.get("/v1/models/{model:path}", responses=_ERRORS, tags=["openai"])
async def get_model(model: str, request: Request) -> ModelCard:
    """One model or preset."""
    runtime = runtime_of(request)
    return model_card(model, find_preset(model, runtime), runtime)


@router.get("/health/live", tags=["health"])
async def live() -> dict[str, str]:
    """200 as long as the process answers at all."""
    return {"status": "live"}


@router.get("/health/ready", responses={503: _ERRORS[503]}, tags=["health"])
async def ready(request: Request) -> Response:
    """200 when a chat sent now would be answered, else 503."""
    return _health(runtime_of(request), {})


@router.get("/health", responses={503: _ERRORS[503]}, tags=["health"])
async def health(request: Request) -> Response:
    """As /health/ready, with more to read."""
    runtime = runtime_of(request)
    more = {
        "version": version(),
        "model": runtime.settings.model_name,
        "searches_running": runtime.admission.running,
        "searches_waiting": runtime.admission.waiting,
    }
    return _health(runtime, more)


@router.get("/version", tags=["health"])
async def get_version(request: Request) -> dict[str, str]:
    """Which version this is."""
    return {"version": version(), "engine": runtime_of(request).settings.engine}


@router.get("/metrics", tags=["health"], response_class=Response)
async def get_metrics(request: Request) -> Response:
    """Our metrics and, where vLLM runs in this process, vLLM's, for Prometheus."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    registry = JoinedRegistries(runtime_of(request).metrics.registry, REGISTRY)
    return Response(encode(registry), headers={"content-type": content_type})


def _health(runtime: Runtime, more: dict[str, Any]) -> Response:
    if runtime.healthy():
        return JSONResponse({"status": Phase.READY.value, **more})
    phase = "unhealthy" if runtime.phase is Phase.READY else runtime.phase.value
    error = NotReady("The engine does not answer." if phase == "unhealthy" else runtime.describe())
    return JSONResponse({"status": phase, **more, **error_body(error)}, 503, headers=headers_of(error))
