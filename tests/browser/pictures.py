"""Takes the pictures of docs/images that show the dashboard: ``python -m tests.browser.pictures``.

Starts a server with the bundled model on this machine, gives it some minutes of mixed work, and looks at it.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import httpx

from tests.browser.pages import Browsing, eventually, launched
from tests.server.process import ESPALIER, ROOT, running

IMAGES = ROOT / "docs" / "images"

STADIUM = "A stadium has 8 rows with 19 seats in each row. 12 seats are taken. How many seats are still free?"
COUNTDOWN = "Use the numbers 9, 15 and 7, each exactly once, with + - * / to make 72."

SEARCHES: tuple[dict[str, Any], ...] = (
    {"strategy": "uct", "budget": {"simulations": 12}},
    {"strategy": "majority", "samples": 8},
    {"strategy": "best_of_n", "samples": 8},
    {"strategy": "beam"},
    {"strategy": "uct", "budget": {"seconds": 2}},
    {"strategy": "direct"},
)
TREE = {"strategy": "uct", "reward": "confidence", "exploration": 1.2, "branch": 3, "budget": {"simulations": 40}}


async def work(client: httpx.AsyncClient, seconds: float) -> None:
    """Mixed searches, three at a time, for so long."""
    end = asyncio.get_running_loop().time() + seconds

    async def one_after_another(first: int) -> None:
        number = first
        while asyncio.get_running_loop().time() < end:
            question = (
                f"A train has {6 + number % 7} cars with {20 + number % 30} seats each. "
                f"{5 + number % 11} seats are broken. How many seats can be used?"
            )
            await ask(client, question, SEARCHES[number % len(SEARCHES)], 300)
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
        search = await ask(client, COUNTDOWN, TREE, 200)
        await page.goto(f"{url}/dashboard#/search/{search}")
        await eventually(page, "Number(document.querySelector('.picture')?.dataset.drawn) > 1")
        await page.screenshot(path=IMAGES / "tree.png")
        await browsing.close()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a server that runs already; else one is started")
    parser.add_argument("--seconds", type=float, default=120.0, help="of mixed work (default: %(default)s)")
    parsed = parser.parse_args()
    if parsed.url:
        asyncio.run(take(parsed.url, parsed.seconds))
        return
    with running((*ESPALIER, "serve", "--port", "0"), seconds=300) as server:
        asyncio.run(take(server.url, parsed.seconds))


if __name__ == "__main__":
    main()
