"""The dashboard for everybody: without a mouse, without eyes, in the dark, on a telephone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.pages import Browsing, eventually, rows, served, sideways, violations
from tests.browser.test_dashboard import searched
from tests.server.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

READY = {
    "": "[data-figure=ended]",
    "#/searches": "td.question a",
    "#/try": "#question",
    "#/search/{first}": ".detail h2",
    "#/compare/{first}/{second}": ".explorer:nth-of-type(2) .head, .pair section:nth-child(2) .head",
}
"""Each page, and what is there when it is."""


async def opened(browsing: Browsing, service: Service, address: str, **how: Any) -> Any:
    """One of the pages, with two searches to show."""
    first = await searched(service, "What is 17 + 25?", strategy="uct", reward="confidence", budget={"simulations": 8})
    second = await searched(service, "What is 3 + 4?", strategy="best_of_n", samples=4)
    page = await browsing.open(f"{service.url}/dashboard{address.format(first=first, second=second)}", **how)
    await page.locator(READY[address]).first.wait_for()
    await page.wait_for_timeout(300)  # for charts and pictures, which are drawn in the next frame
    return page


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("address", READY)
async def test_no_page_has_a_fault_that_axe_finds(browsing: Browsing, address: str, dark: bool) -> None:
    """Names, roles, contrasts and landmarks, in both colour schemes."""
    async with served(browsing) as service:
        page = await opened(browsing, service, address, dark=dark)
        assert await violations(page) == []


@pytest.mark.parametrize("address", READY)
async def test_no_page_is_wider_than_a_telephone(browsing: Browsing, address: str) -> None:
    """At 390 pixels nothing but tables, in frames of their own, scrolls sideways."""
    async with served(browsing) as service:
        page = await opened(browsing, service, address, width=390, height=844)
        assert await sideways(page) == 0
        assert await violations(page) == []


async def test_the_page_that_asks_for_a_key_too(browsing: Browsing) -> None:
    """Who needs a screen reader can type a key, and is told when it is wrong."""
    browsing.expected = ("401",)
    async with served(browsing, api_key="orchard") as service:
        for dark in (False, True):
            page = await browsing.open(f"{service.url}/dashboard", dark=dark, width=390, height=844)
            await page.get_by_label("Key").fill("hedge")
            await page.keyboard.press("Enter")
            await page.get_by_role("alert").wait_for()
            assert await violations(page) == []
            assert await sideways(page) == 0


async def test_the_tree_can_be_walked_with_the_keyboard(browsing: Browsing) -> None:
    """The keys of a tree: down and up through the rows, right into a node and left out of it, Home and End."""
    async with served(browsing) as service:
        page = await opened(browsing, service, "#/search/{first}")
        tree = page.get_by_role("tree")
        await tree.focus()

        async def active() -> Any:
            return await page.evaluate(
                "(() => { const tree = document.querySelector('[role=tree]');"
                " const row = document.getElementById(tree.getAttribute('aria-activedescendant'));"
                " const label = row.querySelector('.label').innerText;"
                " return [Number(row.ariaLevel), row.ariaExpanded, row.ariaSelected, label]; })()"
            )

        await page.keyboard.press("Home")
        assert (await active())[::3] == [1, "★ prompt"]
        assert await page.locator(".detail h2").inner_text() == "The prompt"
        all_rows = len(await rows(page))
        await page.keyboard.press("ArrowLeft")
        assert await active() == [1, "false", "true", "★ prompt"]
        await eventually(page, "document.querySelectorAll('[role=treeitem]').length === 1")
        await page.keyboard.press("ArrowRight")
        assert (await active())[:2] == [1, "true"]
        await eventually(page, f"document.querySelectorAll('[role=treeitem]').length === {all_rows}")
        await page.keyboard.press("ArrowRight")
        assert (await active())[0] == 2
        assert (await page.locator(".detail h2").inner_text()).startswith("Node ")
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("ArrowLeft")
        assert (await active())[0] == 1
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("End")
        last = await active()
        await page.keyboard.press("ArrowDown")
        assert await active() == last
        await page.keyboard.press("ArrowUp")
        assert await active() != last


async def test_every_control_is_reached_with_the_tab_key(browsing: Browsing) -> None:
    """From the top of a search's page to its candidates, in the order of the page, with the focus in sight."""
    async with served(browsing) as service:
        page = await opened(browsing, service, "#/search/{first}")
        seen = []
        for _ in range(30):
            await page.keyboard.press("Tab")
            seen.append(
                await page.evaluate(
                    "(() => { const at = document.activeElement; return at.ariaLabel || at.id || at.innerText; })()"
                )
            )
        wanted = ["Skip to the content", "Overview", "Searches", "Try it", "▶ Replay", "growth-1", "Smaller", "Larger"]
        wanted += ["Fit the whole tree", "Nodes of the tree", "Votes", "Candidates"]
        assert [each for each in seen if each in wanted][: len(wanted)] == wanted
        assert any(str(each).startswith("Candidate ") for each in seen)


async def test_rows_tell_what_colours_tell(browsing: Browsing) -> None:
    """Value, visits and whether a node is on the winning path stand in the name of its row, and its depth beside it."""
    async with served(browsing) as service:
        page = await opened(browsing, service, "#/search/{first}")
        row = page.locator("[role=treeitem]").first
        assert await row.get_attribute("aria-level") == "1"
        told = await page.locator("[role=treeitem]").first.aria_snapshot()
        for part in ("prompt", ", value 0.", "visits", "on the winning path"):
            assert part in told
