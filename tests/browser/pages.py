"""Pages in a real browser, for tests and for the pictures in docs/images."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from engine.scripted import ScriptedEngine
from tests.server.service import Service, listening

AXE = Path(__file__).parent / "vendor" / "axe.min.js"

FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
)

PATIENCE = 60_000
"""Milliseconds that a page may take for anything: the machines of tests are busy."""


@asynccontextmanager
async def launched() -> AsyncIterator[Any]:
    """A browser; None where there is none."""
    from playwright.async_api import async_playwright

    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        yield None
        return
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=list(FLAGS), timeout=PATIENCE)
        yield browser
        await browser.close()


class Browsing:
    """Opens pages and notes what they complain about."""

    def __init__(self, browser: Any) -> None:
        self._browser, self._contexts = browser, list[Any]()
        self.complaints: list[str] = []
        self.expected: tuple[str, ...] = ()  # parts of complaints that are part of the test

    async def open(self, url: str, *, dark: bool = False, width: int = 1280, height: int = 900, **options: Any) -> Any:
        """A page of its own, with nothing remembered from others."""
        context = await self._browser.new_context(
            color_scheme="dark" if dark else "light", viewport={"width": width, "height": height}, **options
        )
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        page.on("console", lambda said: self._note(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self._note(str(error)))
        if url:
            await page.goto(url)
        return page

    async def close(self) -> None:
        """Closes every page."""
        while self._contexts:
            await self._contexts.pop().close()

    def _note(self, text: str) -> None:
        if not any(part in text for part in self.expected):
            self.complaints.append(text)


@asynccontextmanager
async def served(browsing: Browsing, engine: ScriptedEngine | None = None, **settings: Any) -> AsyncIterator[Service]:
    """A server to look at. Its pages are closed before it is, so that none of them misses it."""
    async with listening(engine, **settings) as service:
        service.client.timeout = 2 * PATIENCE / 1000  # searches stand still while pages open
        try:
            yield service
        finally:
            await browsing.close()


class Gated:
    """An engine whose calls wait until they are let through, so that a search stands still while it is looked at."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(0)
        self.engine = ScriptedEngine(sleep=lambda _: self._wait())

    async def _wait(self) -> None:
        await self._turns.acquire()

    def let(self, calls: int = 10_000) -> None:
        """Lets so many more calls through."""
        for _ in range(calls):
            self._turns.release()


async def violations(page: Any) -> list[str]:
    """What axe-core finds wrong with a page as it is now."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{each['id']}: {node['target']}" for each in found["violations"] for node in each["nodes"]]


async def sideways(page: Any) -> int:
    """Pixels by which a page is wider than its window."""
    width: int = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


async def rows(page: Any) -> list[str]:
    """The rows of the outline that are in the page."""
    texts: list[str] = await page.locator("[role=treeitem]").all_inner_texts()
    return [" ".join(text.split()) for text in texts]


async def eventually(page: Any, expression: str, seconds: float = PATIENCE / 1000) -> None:
    """Waits until an expression is true in a page; Playwright's own way is eval, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not await page.evaluate(expression):
        assert time.monotonic() < end, f"never true: {expression}"
        await asyncio.sleep(0.05)
