"""Takes the pictures of the dashboard in docs/images: ``python -m tests.browser.pictures``, or ``make pictures``.

Starts a server with the bundled model (``--toy``: on a scripted one), gives it some mixed work, and looks at it.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import httpx

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward
from tests.browser.pages import Browsing, eventually, launched
from tests.browser.stadium import QUESTION, stadium, stadium_worth
from tests.server.process import ESPALIER, ROOT, running
from tests.server.service import backend, listening

IMAGES = ROOT / "docs" / "images"

SEARCHES: tuple[dict[str, Any], ...] = (
    {"strategy": "uct", "budget": {"simulations": 12}},
    {"strategy": "majority", "samples": 8},
    {"strategy": "best_of_n", "samples": 8},
    {"strategy": "beam"},
    {"strategy": "uct", "budget": {"seconds": 2}},
    {"strategy": "direct"},
)
TREE = {"strategy": "uct", "reward": "prm", "branch": 3, "budget": {"simulations": 24}}


async def work(client: httpx.AsyncClient, seconds: float) -> None:
    """Mixed searches, three at a time, for so long."""
    end = asyncio.get_running_loop().time() + seconds

    async def one_after_another(first: int) -> None:
        number = first
        while asyncio.get_running_loop().time() < end:
            await ask(client, QUESTION, SEARCHES[number % len(SEARCHES)], 300)
            number += 3

    await asyncio.gather(*map(one_after_another, range(3)))


async def ask(client: httpx.AsyncClient, question: str, search: dict[str, Any], most: int) -> str:
    """Makes a search; its id."""
    body = {"messages": [{"role": "user", "content": question}], "search": search, "max_tokens": most, "seed": 11}
    reply = await client.post("/v1/chat/completions", json=body)
    return str(reply.raise_for_status().json()["search"]["id"])


async def take(url: str, seconds: float) -> None:
    """Both pictures of a server."""
    async with httpx.AsyncClient(base_url=url, timeout=600) as client, launched() as browser:
        assert browser is not None, "needs Chromium: apt-get install chromium"
        browsing = Browsing(browser)
        page = await browsing.open(f"{url}/dashboard", height=880, device_scale_factor=1.5)
        await work(client, seconds)
        await page.screenshot(path=IMAGES / "dashboard.png")
        search = await ask(client, QUESTION, TREE, 300)
        await page.goto(f"{url}/dashboard#/search/{search}")
        await eventually(page, "Number(document.querySelector('.picture')?.dataset.drawn) > 1")
        await page.screenshot(path=IMAGES / "tree.png")
        await browsing.close()


async def take_toy(seconds: float) -> None:
    """Both pictures of a server on a scripted model."""
    engine = ScriptedEngine(script=stadium, latency=lambda _, number: 0.05 + 0.02 * (number % 9))
    made = backend(engine, ScriptedReward(worth=stadium_worth))
    async with listening(engine, made=made) as service:
        await take(service.url, seconds)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a server that runs already; else one is started")
    parser.add_argument("--toy", action="store_true", help="on a scripted model, in this process")
    parser.add_argument("--seconds", type=float, default=120.0, help="of mixed work (default: %(default)s)")
    parsed = parser.parse_args()
    if parsed.url:
        asyncio.run(take(parsed.url, parsed.seconds))
        return
    if parsed.toy:
        asyncio.run(take_toy(parsed.seconds))
        return
    with running((*ESPALIER, "serve", "--port", "0"), seconds=300) as server:
        asyncio.run(take(server.url, parsed.seconds))


if __name__ == "__main__":
    main()
