"""The endpoints. Each does little itself: it asks the runtime and shapes the reply."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import REGISTRY

from mcts.errors import NotReady
from mcts.result import SearchResult
from mcts.together import together
from server.assignments import Assignment, assign, find_preset
from server.chats import chat_prompt
from server.chunks import ChatChunks, TextChunks
from server.completions import assign_each
from server.completions import completion as text_completion
from server.errors import error_body, headers_of
from server.exposition import exposed
from server.interruption import ClientGone, disconnected, interrupted_by
from server.listing import model_card, model_list
from server.middleware import key_of
from server.replies import completion
from server.responses import CHAT, ERRORS, TEXT
from server.runtime import Phase, Runtime, runtime_of
from server.schemas.chat import ChatRequest
from server.schemas.common import Reply
from server.schemas.completion import CompletionRequest
from server.schemas.generation import GenerationFields
from server.schemas.reply import ChatCompletion, ModelCard, ModelList, TextCompletion
from server.searches import placed, run_search
from server.streaming import SearchStream, Shape
from server.thoughts import splits_thoughts
from server.version import version

router = APIRouter()

CLIENT_CLOSED_REQUEST = 499


@router.post("/v1/chat/completions", response_model=ChatCompletion, responses={**CHAT, **ERRORS}, tags=["openai"])
async def create_chat_completion(body: ChatRequest, request: Request) -> Response:
    """Answers a chat by searching."""
    runtime, name = runtime_of(request), f"chatcmpl-{request.state.request_id}"
    read = chat_prompt(body, runtime.settings.tool_call_parser)
    assignment = await assign(body, read, runtime, name, uuid.uuid4().hex)
    if body.stream:
        shape = Shape(
            ChatChunks,
            include_usage=wants_usage(body),
            logprobs=bool(body.logprobs),
            splits=splits_thoughts(runtime.settings),
        )
        return SearchStream([assignment], runtime, shape)

    async def answered() -> ChatCompletion:
        result = await _searched(assignment, runtime, key_of(request.scope))
        return completion(assignment, result, runtime.settings, logprobs=bool(body.logprobs))

    return await _unless_gone(answered(), request)


@router.post("/v1/completions", response_model=TextCompletion, responses={**TEXT, **ERRORS}, tags=["openai"])
async def create_completion(body: CompletionRequest, request: Request) -> Response:
    """Continues each prompt by a search of its own."""
    runtime = runtime_of(request)
    assignments = await assign_each(body, runtime, request.state.request_id, uuid.uuid4().hex)
    if body.stream:
        shape = Shape(
            TextChunks,
            include_usage=wants_usage(body),
            logprobs=body.logprobs is not None,
            echo=bool(body.echo),
            stride=body.n or 1,
        )
        return SearchStream(assignments, runtime, shape)

    async def answered() -> TextCompletion:
        key = key_of(request.scope)
        results = await together(_searched(assignment, runtime, key) for assignment in assignments)
        return text_completion(body, list(zip(assignments, results, strict=True)), runtime.settings)

    return await _unless_gone(answered(), request)


def wants_usage(body: GenerationFields) -> bool:
    """Whether a stream is to carry the usage."""
    return bool(body.stream_options and body.stream_options.include_usage)


async def _searched(assignment: Assignment, runtime: Runtime, key: str) -> SearchResult:
    async with placed(runtime, assignment.cost, key) as place:
        return await run_search(assignment, runtime, place)


async def _unless_gone(answered: Coroutine[Any, Any, Reply], request: Request) -> Response:
    try:
        reply = await interrupted_by(answered, disconnected(request.receive), ClientGone())
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return JSONResponse(reply.model_dump())


@router.get("/v1/models", responses=ERRORS, tags=["openai"])
async def list_models(request: Request) -> ModelList:
    """Lists the served model and its presets."""
    return model_list(runtime_of(request))


@router.get("/v1/models/{model:path}", responses=ERRORS, tags=["openai"])
async def get_model(model: str, request: Request) -> ModelCard:
    """One model or preset."""
    runtime = runtime_of(request)
    return model_card(model, find_preset(model, runtime), runtime)


@router.get("/health/live", tags=["health"])
async def live() -> dict[str, str]:
    """200 as long as the process answers at all."""
    return {"status": "live"}


@router.get("/health/ready", responses={503: ERRORS[503]}, tags=["health"])
async def ready(request: Request) -> Response:
    """200 when a chat sent now would be answered, else 503."""
    return _health(runtime_of(request), {})


@router.get("/health", responses={503: ERRORS[503]}, tags=["health"])
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
    runtime = runtime_of(request)
    runtime.metrics.tasks.set(len(asyncio.all_tasks()))
    runtime.metrics.count_failovers(runtime.failovers)
    registries = (*runtime.registries, REGISTRY)
    body, content_type = exposed(registries, request.headers.get("accept", ""))
    return Response(body, headers={"content-type": content_type})


def _health(runtime: Runtime, more: dict[str, Any]) -> Response:
    if runtime.healthy():
        return JSONResponse({"status": Phase.READY.value, **more})
    phase = "unhealthy" if runtime.phase is Phase.READY else runtime.phase.value
    error = NotReady("The engine does not answer." if phase == "unhealthy" else runtime.describe())
    return JSONResponse({"status": phase, **more, **error_body(error)}, 503, headers=headers_of(error))
