"""The one place that knows which HTTP status an error of ours has, and the one error shape of every reply.

{"error": {"message": "...", "type": "...", "param": "..." | null, "code": "..."}}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from mcts import errors
from server.refusals import MAX_QUOTE, invalid

MAX_MESSAGE = 1000
"""Characters of one error message. vLLM once answered a 4 kB body with a 23 MB error."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one class of errors looks to a client. ``retry`` False stops SDKs from repeating a long search in vain."""

    status: int
    type: str
    code: str
    retry: bool | None = None


KINDS: dict[type[BaseException], Kind] = {
    errors.InvalidRequest: Kind(400, "invalid_request_error", "invalid_value"),
    errors.PromptTooLong: Kind(400, "invalid_request_error", "context_length_exceeded"),
    errors.Unauthorized: Kind(401, "authentication_error", "invalid_api_key"),
    errors.UnknownModel: Kind(404, "invalid_request_error", "model_not_found"),
    errors.UnknownSearch: Kind(404, "invalid_request_error", "search_not_found"),
    errors.ClientError: Kind(400, "invalid_request_error", "invalid_request"),
    errors.NotReady: Kind(503, "service_unavailable_error", "not_ready"),
    errors.Overloaded: Kind(429, "rate_limit_error", "overloaded"),
    errors.NoAnswerInTime: Kind(504, "timeout_error", "no_answer_in_time", retry=False),
    errors.EngineError: Kind(503, "service_unavailable_error", "engine_failed"),
    errors.RewardError: Kind(503, "service_unavailable_error", "reward_failed"),
    errors.StepMismatch: Kind(503, "service_unavailable_error", "step_mismatch", retry=False),
    errors.ServerError: Kind(500, "server_error", "server_error", retry=False),
}
INTERNAL = Kind(500, "server_error", "internal_error", retry=False)

HTTP_CODES = {
    400: "invalid_request",
    401: "invalid_api_key",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
    431: "headers_too_large",
}
RETRY_AFTER_STARTING = 5
"""Seconds a client should wait for a server that is starting, or that starts its engine anew."""


def kind_of(error: BaseException) -> Kind:
    """The nearest entry of ``KINDS`` along the error's class hierarchy."""
    return next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), INTERNAL)


def error_body(error: BaseException) -> dict[str, Any]:
    """The body for any error. What was not raised on purpose shows nothing of itself."""
    kind = kind_of(error)
    message = str(error) if kind is not INTERNAL else "An internal error occurred; the server's log has the details."
    return body(message, kind.type, kind.code, getattr(error, "param", None))


def body(message: str, type_: str, code: str, param: str | None = None) -> dict[str, Any]:
    """The error shape, its texts capped and free of lone surrogates (which JSON in UTF-8 cannot carry)."""
    return {
        "error": {"message": _clean(message), "type": type_, "param": _clean(param) if param else None, "code": code}
    }


def error_response(error: BaseException) -> JSONResponse:
    """The reply for any error."""
    kind = kind_of(error)
    return JSONResponse(error_body(error), kind.status, headers=headers_of(error))


def http_error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The reply for a fault of plain HTTP, such as a path that does not exist."""
    type_ = {401: "authentication_error"}.get(status, "invalid_request_error" if status < 500 else "server_error")
    return JSONResponse(body(message, type_, HTTP_CODES.get(status, f"http_{status}")), status, headers=headers)


def install_error_handlers(app: FastAPI) -> None:
    """Gives every error that can leave a route the one shape."""
    app.add_exception_handler(errors.EspalierError, _on_espalier_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(Exception, _on_unexpected)


def headers_of(error: BaseException) -> dict[str, str]:
    """The headers that go with an error: when to come back, whether to retry, how to authenticate."""
    headers: dict[str, str] = {}
    if isinstance(error, errors.Overloaded):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    elif isinstance(error, errors.NotReady | errors.EngineDead | errors.RewardDead):
        headers["Retry-After"] = str(RETRY_AFTER_STARTING)
    elif isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    kind = kind_of(error)
    if kind.retry is not None:
        headers["x-should-retry"] = str(kind.retry).lower()
    return headers


def _clean(text: str) -> str:
    cut = text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"
    return cut.encode("utf-8", "replace").decode("utf-8")


async def _on_espalier_error(_: Request, error: Exception) -> Response:
    return error_response(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - starlette hands over what was registered
    path = str(request.scope["path"])[:MAX_QUOTE]  # never request.url: it is built from the Host header
    messages = {
        400: "The body cannot be read: it is no JSON, or nested too deeply.",
        404: f"There is nothing at {path}.",
        405: f"{request.method[:16]} is not allowed at {path}.",
    }
    return http_error_response(error.status_code, messages.get(error.status_code, str(error.detail)), error.headers)


async def _on_validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return error_response(invalid(error.errors(), error.body))


async def _on_unexpected(request: Request, error: Exception) -> Response:
    response = error_response(error)
    if name := request.scope.get("state", {}).get("request_id"):
        response.headers["X-Request-Id"] = name  # this reply is made outside the layer that echoes it
    return response
