"""Puts the HTTP app together. Everything it needs is passed in; nothing is started before its lifespan begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from server.backend import Loader, Report
from server.errors import install_error_handlers
from server.loading import load_backend
from server.metrics import Metrics
from server.middleware import BodyLimit, Keys, RequestId, RequestMetrics
from server.routes import router
from server.runtime import Runtime
from server.settings import Settings
from server.tokenization import router as token_router
from server.version import version

DESCRIPTION = """An OpenAI-compatible inference server that answers by searching: each chat grows a tree over
continuations of a language model, scores what it grows and returns the best answer found within a budget."""


def create_app(
    settings: Settings,
    *,
    load: Loader = load_backend,
    registry: CollectorRegistry | None = None,
    report: Report | None = None,
) -> FastAPI:
    """The app. Its ``state.runtime`` is the server's state.

    Args:
        settings: What the operator chose.
        load: Makes what searches run on; awaited in the background once the lifespan has begun.
        registry: Where our metrics live; a new one if None.
        report: Told each phase of start-up.
    """
    metrics = Metrics(registry or CollectorRegistry())
    runtime = Runtime(settings, load, metrics, report)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        runtime.start()
        try:
            yield
        finally:
            await runtime.stop()

    app = FastAPI(
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
    _add_middleware(app, settings, metrics)
    return app


def _add_middleware(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """The layer added last is the outermost."""
    app.add_middleware(BodyLimit, most=settings.max_body_bytes)
    if settings.api_key:
        keys = [key.get_secret_value() for key in settings.api_key]
        app.add_middleware(Keys, keys=keys, open_metrics=settings.open_metrics)
    app.add_middleware(RequestId)
    app.add_middleware(RequestMetrics, metrics=metrics)
