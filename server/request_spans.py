"""The span of each request to the API, a child of the client's where it sends a ``traceparent`` (W3C trace context)."""

from __future__ import annotations

from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.middleware import Outcome, route_of
from server.spans import Tracing

TRACED = "/v1/"
"""Beginning of the paths that are traced: probes and scrapes would only be noise."""

KNOWN_METHODS = frozenset({"GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE", "PATCH"})


class RequestSpans:
    """Makes one span for each request, which the spans of its searches stand below."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app, self._tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http" or not scope["path"].startswith(TRACED):
            await self._app(scope, receive, send)
            return
        tracing, outcome = self._tracing, Outcome(scope)
        parent = tracing.propagator.extract(dict(Headers(scope=scope)), context.Context())
        method = scope["method"] if scope["method"] in KNOWN_METHODS else "_OTHER"
        span = tracing.tracer.start_span(method, parent, SpanKind.SERVER, _attributes(scope, method))
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                await outcome.of(self._app, receive, send)
        finally:
            _end(span, scope, method, outcome.status)


def _attributes(scope: Scope, method: str) -> dict[str, Any]:
    told = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
    if name := scope.get("state", {}).get("request_id"):
        told["espalier.request.id"] = name
    return told


def _end(span: Span, scope: Scope, method: str, status: int) -> None:
    route = route_of(scope)
    span.update_name(f"{method} {route}")
    span.set_attributes({"http.route": route, "http.response.status_code": status})
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))
    span.end()
