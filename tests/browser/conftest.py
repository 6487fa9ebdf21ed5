"""Fixtures of the tests in a real browser: Chromium without a window, and pages whose errors are noted.

Where Chromium is missing the tests are skipped; ``.ci/run`` installs it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.browser.pages import Browsing, launched


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[object]:
    """One browser for all tests."""
    pytest.importorskip("playwright", reason="needs Playwright: it is among the development tools")
    async with launched() as running:
        if running is None:
            pytest.skip("needs Chromium: apt-get install chromium")
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def browsing(browser: object) -> AsyncIterator[Browsing]:
    """Opens pages; at the end none of them may have complained in its console."""
    opened = Browsing(browser)
    yield opened
    await opened.close()
    assert opened.complaints == []
