"""The dashboard in a real browser: what happens in the server shows, and a search just made can be looked into."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.browser.pages import Browsing, Gated, eventually, served
from tests.server.service import Service, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

TREE = {"strategy": "uct", "budget": {"simulations": 12}}


async def searched(service: Service, question: str = "What is 17 + 25?", **search: Any) -> str:
    """Makes a search; its id."""
    reply = await service.answer(question, search=search or TREE)
    return str(reply["search"]["id"])


async def figure(page: Any, name: str) -> float:
    """What a tile of the overview says; NaN for a dash."""
    text = await page.locator(f"[data-figure={name}]").inner_text()
    return float("nan") if text == "–" else float(text.replace(",", ""))


async def drawn(page: Any) -> int:
    """Nodes of the tree at the moment that is shown."""
    found = re.search(r"(\d+) nodes", await page.locator(".replay output").inner_text())
    assert found
    return int(found[1])


async def becomes(locator: Any, text: str | re.Pattern[str]) -> None:
    """Waits until an element has a text."""
    await locator.filter(has_text=text).first.wait_for()


async def test_live_numbers_change_under_load(browsing: Browsing) -> None:
    """Searches that run and that have ended, tokens, stop reasons and strategies appear without a reload."""
    gated = Gated()
    async with served(browsing, gated.engine) as service:
        page = await browsing.open(f"{service.url}/dashboard")
        await becomes(page.locator("[data-figure=ended]"), re.compile(r"^0$"))
        load = asyncio.gather(*(searched(service, f"What is {number} + 1?") for number in range(6)))
        await eventually(page, "Number(document.querySelector('[data-figure=running]').textContent) >= 1")
        gated.let()
        await load
        await becomes(page.locator("[data-figure=ended]"), re.compile(r"^6$"))
        assert await figure(page, "tokens") > 0
        await becomes(page.get_by_role("region", name="Strategies"), "uct")
        await becomes(page.get_by_role("region", name="Why searches ended"), re.compile("simulations|exhausted"))
        told = await page.locator(".plot").first.get_attribute("aria-label")
        assert re.match(r"Duration of searches: median \d", told)
        assert await page.locator(".plot canvas").count() == 5


async def test_numbers_stand_still_when_paused(browsing: Browsing) -> None:
    """Who reads can stop what moves, and go on."""
    async with served(browsing) as service:
        page = await browsing.open(f"{service.url}/dashboard")
        await becomes(page.locator("[data-figure=ended]"), re.compile(r"^0$"))
        await page.get_by_role("button", name="Pause").click()
        await searched(service)
        await page.wait_for_timeout(2500)
        assert await figure(page, "ended") == 0
        await page.get_by_role("button", name="Go on").click()
        await becomes(page.locator("[data-figure=ended]"), re.compile(r"^1$"))


async def test_the_list_shows_searches_and_filters_them(browsing: Browsing) -> None:
    """New searches join it; filters leave out what does not fit."""
    async with served(browsing) as service:
        await searched(service, "What is 1 + 1?")
        page = await browsing.open(f"{service.url}/dashboard#/searches")
        link = page.locator("td.question a")
        await becomes(link, "What is 1 + 1?")
        await searched(service, "What is 2 + 2?", strategy="majority", samples=3)
        await becomes(link, "What is 2 + 2?")
        await page.get_by_label("With the words").fill("2 + 2")
        assert await link.all_inner_texts() == ["What is 2 + 2?"]
        await page.get_by_label("With the words").fill("")
        await page.get_by_label("Strategy").select_option("uct")
        await eventually(page, "document.querySelectorAll('td.question').length === 1")
        assert await link.all_inner_texts() == ["What is 1 + 1?"]


async def test_a_search_just_made_can_be_opened_and_replayed(browsing: Browsing) -> None:
    """Its page has the trace's tree, votes and candidates; the slider leads from nothing to the whole tree."""
    async with served(browsing) as service:
        search = await searched(service)
        trace = (await service.client.get(f"/v1/searches/{search}")).json()
        page = await browsing.open(f"{service.url}/dashboard#/searches")
        await page.locator("td.question a").first.click()
        output = page.locator(".replay output")
        await becomes(output, f"{len(trace['tree'])} nodes")
        assert await page.locator("h1").inner_text() == "What is 17 + 25?"
        await eventually(page, f"document.querySelector('.picture').dataset.drawn === '{len(trace['tree'])}'")
        winning = sum(node["winning"] for node in trace["tree"])
        assert await page.locator("[role=treeitem]", has_text="on the winning path").count() == winning > 1
        assert await page.get_by_role("region", name="Votes").locator("tbody tr").count() == len(trace["votes"])
        await page.get_by_label("Growth", exact=True).fill("0")
        assert "0 nodes" in await output.inner_text()
        await eventually(page, "!document.querySelector('[role=treeitem]')")
        await page.get_by_role("button", name="Replay").click()
        await becomes(output, f"{len(trace['tree'])} nodes")
        await page.get_by_role("button", name="Replay").wait_for()


async def test_a_search_that_runs_grows_on_its_page(browsing: Browsing) -> None:
    """Opened early, its page follows it to its end, and what one has chosen stays chosen."""
    gated = Gated()
    gated.let(2)
    async with served(browsing, gated.engine) as service:
        asked = asyncio.create_task(searched(service, strategy="uct", width=1, budget={"simulations": 8}))
        page = await browsing.open(f"{service.url}/dashboard#/searches")
        await becomes(page.locator(".state"), "running")
        await page.locator("td.question a").first.click()
        await page.locator("[role=treeitem]").nth(1).click()
        chosen = await page.locator(".detail h2").inner_text()
        await becomes(page.locator(".head"), "running")
        gated.let()
        trace = (await service.client.get(f"/v1/searches/{await asked}")).json()
        await becomes(page.locator(".head"), "finished")
        assert await page.locator(".detail h2").inner_text() == chosen
        told = f"{len(trace['tree'])} nodes · {trace['simulations']} done"
        assert told in await page.locator(".replay output").inner_text()


async def test_a_click_shows_a_node_in_detail(browsing: Browsing) -> None:
    """Text, value and visits of what is clicked, in the picture as in the outline; a candidate's own text too."""
    async with served(browsing) as service:
        search = await searched(service, strategy="uct", reward="confidence", budget={"simulations": 12})
        page = await browsing.open(f"{service.url}/dashboard#/search/{search}")
        heading = page.locator(".detail h2")
        await heading.wait_for()
        box = await page.locator(".picture canvas").bounding_box()
        await page.mouse.click(box["x"] + 24, box["y"] + box["height"] / 2)
        await becomes(heading, "The prompt")
        await page.locator("[role=treeitem]").nth(1).click()
        await becomes(heading, re.compile(r"^Node \d+$"))
        detail = page.locator(".detail")
        assert "What is 17 + 25?" in await detail.locator(".text").first.inner_text()
        assert await detail.locator(".token").count() > 5
        assert re.search(r"Confidence\s+mean \d\.\d\d, lowest", await detail.inner_text())
        await page.get_by_role("button", name="Candidate").first.click()
        await becomes(heading, re.compile(r"^Candidate \d+$"))


async def test_two_searches_stand_side_by_side(browsing: Browsing) -> None:
    """Two are marked in the list and compared: their figures in one table, their trees beside each other."""
    async with served(browsing) as service:
        ids = [
            await searched(service, "What is 1 + 1?"),
            await searched(service, "What is 2 + 3?", strategy="best_of_n", samples=4),
        ]
        told = [(await service.client.get(f"/v1/searches/{each}")).json()["answer"] for each in ids]
        page = await browsing.open(f"{service.url}/dashboard#/searches")
        await page.get_by_label("Compare: What is 1 + 1?").check()
        await page.get_by_label("Compare: What is 2 + 3?").check()
        await page.get_by_role("button", name="Compare the two").click()
        table = page.get_by_role("region", name="Side by side")
        assert re.search(rf"Answer\s+{told[0]}\s+{told[1]}\s", await table.inner_text())
        first = await page.get_by_role("region", name="First search", exact=True).bounding_box()
        second = await page.get_by_role("region", name="Second search", exact=True).bounding_box()
        assert first["x"] + first["width"] <= second["x"]
        assert abs(first["y"] - second["y"]) < 2
        assert await page.locator(".explorer").count() == 2
        await becomes(page.locator(".explorer").nth(1), "This strategy grows no tree.")


async def test_a_question_grows_its_tree_before_ones_eyes(browsing: Browsing) -> None:
    """The tree is there before the search ends, grows, and gives way to the kept trace when it has ended."""
    gated = Gated()
    gated.let(2)
    async with served(browsing, gated.engine) as service:
        page = await browsing.open(f"{service.url}/dashboard#/try")
        await page.get_by_label("Question").fill("What is 40 + 2?")
        await page.get_by_label("Strategy").select_option("uct")
        await page.get_by_label("Simulations").fill("10")
        await page.get_by_label("At once (width)").fill("1")
        await page.get_by_role("button", name="Search").click()
        await page.locator("[role=treeitem]").nth(1).wait_for()
        assert service.runtime.admission.running == 1
        early = await drawn(page)
        gated.let()
        await becomes(page.locator("[role=status]"), "Ended by")
        await becomes(page.locator(".explorer .head"), "finished")
        (search,) = (await service.client.get("/v1/searches")).json()["data"]
        assert early < await drawn(page) == search["nodes"]
        assert "\\boxed{42}" in await page.locator(".answer-text").inner_text()
        assert search["budget"]["simulations"] == 10


async def test_stop_gives_the_search_up(browsing: Browsing) -> None:
    """The server's search is cancelled, not only the page's view of it."""
    async with served(browsing, Gated().engine) as service:
        page = await browsing.open(f"{service.url}/dashboard#/try")
        await page.get_by_role("button", name="Search").click()
        await until(lambda: service.engine.open_calls > 0, 30)
        await page.get_by_role("button", name="Stop").click()
        await until(lambda: service.engine.open_calls == 0 and service.runtime.admission.running == 0, 30)
        assert service.engine.aborted_calls > 0
        await becomes(page.locator("form [role=status]"), "given the search up")
        (search,) = (await service.client.get("/v1/searches")).json()["data"]
        assert search["state"] == "cancelled"


async def test_what_the_server_refuses_is_told(browsing: Browsing) -> None:
    """In the server's words, which name the field."""
    browsing.expected = ("400",)
    async with served(browsing, max_simulations=8) as service:
        page = await browsing.open(f"{service.url}/dashboard#/try")
        await page.get_by_label("Simulations").fill("9")
        await page.get_by_role("button", name="Search").click()
        await becomes(page.locator("#status"), "simulations")


async def test_a_key_is_asked_for_once_and_forgotten_with_the_tab(browsing: Browsing) -> None:
    """A wrong one is said to be wrong; the right one opens every page of the tab, and no other tab."""
    browsing.expected = ("401",)
    async with served(browsing, api_key="orchard") as service:
        page = await browsing.open(f"{service.url}/dashboard#/searches")
        await page.get_by_label("Key").fill("hedge")
        await page.keyboard.press("Enter")
        await becomes(page.get_by_role("alert"), "does not know this key")
        await page.get_by_label("Key").fill("orchard")
        await page.keyboard.press("Enter")
        await page.get_by_role("search").wait_for()
        await page.reload()
        await page.get_by_role("search").wait_for()
        assert await page.evaluate("[Object.values(sessionStorage), localStorage.length]") == [["orchard"], 0]
        other = await browsing.open(f"{service.url}/dashboard")
        await other.get_by_label("Key").fill("half")
        await other.wait_for_timeout(4500)  # the page behind it, which asks every 2 s, is gone
        assert await other.get_by_label("Key").input_value() == "half"
        assert "orchard" not in page.url
