"""A search that has ended leaves nothing to the garbage collector: what it made goes as soon as nobody holds it.

Left as garbage it would pile up to hundreds of thousands of objects under load, and to pauses of half a second.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.server.service import QUESTION, Service, serving

SEARCHES: list[dict[str, Any]] = [
    {"strategy": "direct"},
    {"strategy": "majority", "samples": 6},
    {"strategy": "best_of_n", "samples": 4, "reward": "prm"},
    {"strategy": "uct", "reward": "prm", "budget": {"simulations": 6}},
    {"strategy": "uct", "reward": "prm", "budget": {"simulations": 6, "tokens": 40}},
    {"strategy": "beam", "beams": 4, "branch": 2, "reward": "prm"},
    {"strategy": "rebase", "reward": "prm"},
    {"strategy": "ab_mcts", "budget": {"simulations": 4}},
    {"strategy": "self_refine", "budget": {"simulations": 3}},
    {"strategy": "mctsr", "budget": {"simulations": 3}},
]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A server on the toy engine."""
    async with serving() as running:
        yield running


@contextmanager
def collecting() -> Iterator[Counter[str]]:
    """Has the collector wait, and tells in the end what of ours it would have had to find, by class."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = (type(each) for each in gc.garbage)
        found.update(kind.__qualname__ for kind in kinds if kind.__module__.split(".")[0] in {"mcts", "server"})
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: "-".join(map(str, search.values())))
async def test_a_search_leaves_no_garbage(service: Service, search: dict[str, Any], stream: bool) -> None:
    """Of no strategy, streamed or not, whichever way it ends."""
    body = {"messages": [{"role": "user", "content": QUESTION}], "search": search, "stream": stream}

    async def asked(seed: int) -> None:
        reply = await service.client.post("/v1/chat/completions", json=body | {"seed": seed})
        assert reply.status_code == 200, reply.text

    await asked(0)  # what is made on first use
    with collecting() as found:
        for seed in (1, 2, 3):
            await asked(seed)
        await asyncio.sleep(0.05)  # the last tasks end
    assert not found


def test_garbage_would_be_found() -> None:
    """The test above can fail."""
    from mcts.tree import Tree

    with collecting() as found:
        tree = Tree(4, 100)
        tree.root.children[((), False)] = tree.root
        del tree
    assert found == {"Node": 1}
