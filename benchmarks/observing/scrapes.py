"""How long a scrape takes while a server has all its places taken, as the scraper sees it: over a socket."""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.torture.asking import ask
from benchmarks.torture.target import ROOT, client, target


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
        took, lines = await _scraped(server.url, seconds)
        stop.set()
        for task in busied:
            task.cancel()
        await asyncio.gather(*busied, return_exceptions=True)
        return took, lines


async def _scraped(url: str, seconds: float) -> tuple[list[float], int]:
    command = (sys.executable, "-m", "benchmarks.observing.scraper", url, str(seconds))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the scraper ended with {process.returncode}")
    took, lines = json.loads(told)
    return took, lines
