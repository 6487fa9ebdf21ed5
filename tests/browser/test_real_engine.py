"""The dashboard on the bundled model: a question asked in it grows its tree, and the tree can be looked into."""

from __future__ import annotations

import re

import pytest

from tests.browser.pages import Browsing, eventually
from tests.server.process import ESPALIER, ROOT, running

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.vllm, pytest.mark.timeout(900)]


@pytest.mark.skipif(not (ROOT / "models" / "abacus" / "config.json").exists(), reason="models/abacus is not built")
async def test_a_question_to_the_bundled_model(browsing: Browsing) -> None:
    """Asked in the page, answered in it; the model's confidence in each token is there to be seen."""
    with running((*ESPALIER, "serve", "--port", "0"), seconds=600) as server:
        page = await browsing.open(f"{server.url}/dashboard#/try")
        await page.get_by_label("Model or preset").select_option("abacus:uct-confidence")
        await page.get_by_label("Simulations").fill("6")
        await page.get_by_role("button", name="Search").click()
        await page.locator("form [role=status] a").wait_for(timeout=300_000)
        await eventually(page, "document.querySelectorAll('.detail .token').length > 2")
        assert re.search(r"Confidence\s+mean \d\.\d\d", await page.locator(".detail").inner_text())
        assert await page.locator("[role=treeitem]", has_text="winning").count() > 1
        await page.goto(f"{server.url}/dashboard#/")
        await eventually(page, "document.querySelector('[data-figure=ended]')?.textContent === '1'")
        await page.goto("about:blank")  # else it would ask a server that is gone, and complain
