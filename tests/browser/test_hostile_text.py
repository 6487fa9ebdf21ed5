"""Others' words on the page: whatever they hold, they are text and do nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.dashboard.page import trace_page
from tests.browser.pages import Browsing, eventually, served, sideways, violations
from tests.server.test_trace_page import hostile_trace

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def trace() -> dict[str, Any]:
    """A trace whose every string is hostile. No coroutine: its search runs in a loop of its own."""
    return hostile_trace()


async def harmless(page: Any, trace: dict[str, Any]) -> None:
    """The hostile text is there to be read, and nothing of it has become an element or has run."""
    await page.locator(".detail .text").first.wait_for()
    assert "<img src=x" in await page.locator(".detail .text").first.inner_text()
    assert "<img src=x" in await page.locator("h1").first.inner_text()
    assert await page.title() != "owned"
    assert await page.locator("main img, main b, main script").count() == 0
    await eventually(page, f"document.querySelector('.picture').dataset.drawn === '{len(trace['tree'])}'")
    for summary in await page.locator("main summary").all():
        await summary.click()
    assert await page.title() != "owned"


async def test_in_the_dashboard(browsing: Browsing, trace: dict[str, Any]) -> None:
    """In the list and in full."""
    listed = {"object": "list", "data": [trace | {"id": "search-1"}], "has_more": False}
    async with served(browsing) as service:
        page = await browsing.open("")
        await page.route("**/v1/searches?*", lambda route: route.fulfill(json=listed))
        await page.route("**/v1/searches/search-1", lambda route: route.fulfill(body=json.dumps(trace)))
        await page.goto(f"{service.url}/dashboard#/searches")
        link = page.locator("td.question a")
        await link.wait_for()
        assert "</script><script>" in await link.inner_text()
        await link.click()
        await harmless(page, trace)


async def test_in_a_page_that_stands_alone(browsing: Browsing, trace: dict[str, Any], tmp_path: Path) -> None:
    """What `espalier trace export` writes, opened from the disk."""
    file = tmp_path / "trace.html"
    file.write_text(trace_page(trace), encoding="utf-8")
    page = await browsing.open(file.as_uri())
    await harmless(page, trace)


async def test_from_a_model(browsing: Browsing) -> None:
    """A question that comes back in every step, from the box to the end of a live search."""
    async with served(browsing) as service:
        page = await browsing.open(f"{service.url}/dashboard#/try")
        await page.get_by_label("Question").fill("<img src=x onerror=\"document.title='owned'\"> 17 + 25?")
        await page.get_by_role("button", name="Search").click()
        await page.locator("form [role=status] a").wait_for()
        assert "owned" not in await page.title()
        assert await page.locator("main img").count() == 0
        assert "<img src=x" in await page.locator(".explorer h2").first.inner_text()


async def test_a_standalone_page_has_no_fault_either(browsing: Browsing, trace: dict[str, Any], tmp_path: Path) -> None:
    """It asks nobody for anything, and can be read in the dark and on a telephone."""
    file = tmp_path / "trace.html"
    file.write_text(trace_page(trace), encoding="utf-8")
    for dark, width in ((False, 1280), (True, 390)):
        page = await browsing.open("", dark=dark, width=width)
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        await page.goto(file.as_uri())
        await page.locator(".detail").wait_for()
        assert await violations(page) == []
        assert await sideways(page) == 0
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
