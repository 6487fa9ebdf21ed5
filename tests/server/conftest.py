"""Fixtures of the server's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.server.service import Service, serving


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    """A server on the scripted engine, with all rewards."""
    async with serving() as running:
        yield running
