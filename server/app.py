"""Puts the HTTP app together. Everything it needs is passed in; nothing is started before its lifespan begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.cors import CORSMiddleware

from server.backend import Loader, Report
from server.dashboard.routes import dashboard_router, file_paths
from server.errors import install_error_handlers
from server.keys import accepted_keys
from server.leniency import HEADER, Leniency
from server.loading import load_backend
from server.loop_watch import loop_watched
from server.metrics import Metrics
from server.middleware import BodyLimit, Keys, RequestId, RequestMetrics
from server.responses import with_chunks
from server.routes import router
from server.runtime import Runtime
from server.settings import Settings
from server.tokenization import router as token_router
from server.traces.routes import router as trace_router
from server.version import version

if TYPE_CHECKING:
    from server.spans import Tracing

DESCRIPTION = """An OpenAI-compatible inference server that answers by searching: each chat grows a tree over
continuations of a language model, scores what it grows and returns the best answer found within a budget."""


EXPOSED_HEADERS = ("X-Request-Id", "Retry-After", "X-Should-Retry", HEADER)
"""Headers of replies that pages of other origins may read."""


class Documented(FastAPI):
    """An app whose OpenAPI document has the schemas of chunks too."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = with_chunks(super().openapi())
        return self.openapi_schema


def create_app(
    settings: Settings,
    *,
    load: Loader = load_backend,
    registry: CollectorRegistry | None = None,
    report: Report | None = None,
    tracing: Tracing | None = None,
) -> FastAPI:
    """The app. Its ``state.runtime`` is the server's state.

    Args:
        settings: What the operator chose.
        load: Makes what searches run on; awaited in the background once the lifespan has begun.
        registry: Where our metrics live; a new one if None.
        report: Told each phase of start-up.
        tracing: Makes spans; closed with the app. None for no spans.

    Raises:
        StartupError: The file of keys cannot be used.
    """
    metrics = Metrics(registry or CollectorRegistry())
    runtime = Runtime(settings, load, metrics, report, tracing)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with loop_watched(metrics):
            runtime.start()
            try:
                yield
            finally:
                await runtime.stop()
                if tracing:
                    await tracing.close()

    app = Documented(
        title="Espalier",
        version=version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would be built from the Host header
        docs_url=None,  # the documentation pages load scripts from a CDN
        redoc_url=None,
    )
    app.state.runtime = runtime
    install_error_handlers(app)
    app.include_router(router)
    app.include_router(token_router)
    app.include_router(trace_router)
    if settings.dashboard:
        app.include_router(dashboard_router())
    _add_middleware(app, settings, metrics, tracing)
    return app


def _add_middleware(app: FastAPI, settings: Settings, metrics: Metrics, tracing: Tracing | None) -> None:
    """The layer added last is the outermost."""
    if settings.unknown_fields == "ignore":
        app.add_middleware(Leniency)
    app.add_middleware(BodyLimit, most=settings.max_body_bytes)
    if keys := accepted_keys(settings):
        files = file_paths() if settings.dashboard else frozenset()
        app.add_middleware(Keys, keys=keys, open_metrics=settings.open_metrics, open_files=files)
    if settings.cors_origin:  # outside the keys: a browser asks for permission before it sends one
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origin,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=EXPOSED_HEADERS,
        )
    if tracing:
        from server.request_spans import RequestSpans

        app.add_middleware(RequestSpans, tracing=tracing)
    app.add_middleware(RequestId)
    app.add_middleware(RequestMetrics, metrics=metrics)
