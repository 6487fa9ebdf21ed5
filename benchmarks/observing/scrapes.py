"""How long a scrape takes while a server has all its places taken, as the scraper sees it: over a socket."""

from __future__ import annotations

import asyncio
import http.client
import time
from urllib.parse import urlsplit

from benchmarks.torture.asking import ask
from benchmarks.torture.target import client, target

ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
"""Prometheus asks for OpenMetrics."""

EVERY_SECONDS = 0.5


async def scrapes(flags: tuple[str, ...], places: int, seconds: float) -> tuple[list[float], int]:
    """Keeps every place of a fresh server taken and scrapes it meanwhile.

    Returns:
        Seconds of each scrape, and the lines of the last one.
    """
    async with target(*flags, "--max-searches", str(places)) as server, client(server) as asker:
        stop = asyncio.Event()

        async def busy(number: int) -> None:
            while not stop.is_set():
                await ask(asker, seed=number, stream=number % 2 == 1)

        busied = [asyncio.create_task(busy(number)) for number in range(places)]
        await asyncio.sleep(5)  # until all are under way, in different parts of their searches
        took, lines = await asyncio.to_thread(_scraped, server.url, seconds)
        stop.set()
        for task in busied:
            task.cancel()
        await asyncio.gather(*busied, return_exceptions=True)
        return took, lines


def _scraped(url: str, seconds: float) -> tuple[list[float], int]:
    took, lines, end = [], 0, time.monotonic() + seconds
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)  # kept open, as Prometheus does
    while time.monotonic() < end:
        began = time.perf_counter()
        connection.request("GET", "/metrics", headers={"accept": ACCEPT})
        body = connection.getresponse().read()
        took.append(time.perf_counter() - began)
        lines = body.count(b"\n")
        time.sleep(EVERY_SECONDS)
    connection.close()
    return took, lines
