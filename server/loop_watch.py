"""Watches how late the event loop is: everything that every client waits for passes through it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from server.metrics import Metrics

LOOK_SECONDS = 0.25
"""How often it is looked at. Lower sees shorter stalls and costs more."""


@asynccontextmanager
async def loop_watched(metrics: Metrics) -> AsyncIterator[None]:
    """Observes the lag of the running event loop for as long as the context lasts."""
    watching = asyncio.create_task(_watch(metrics), name="loop-watch")
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(metrics: Metrics) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(LOOK_SECONDS)
        metrics.loop_lag.observe(max(0.0, time.perf_counter() - began - LOOK_SECONDS))
