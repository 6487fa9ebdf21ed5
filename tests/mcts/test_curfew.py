"""The curfew ends searches from outside: each gives what it has."""

from __future__ import annotations

import asyncio

from mcts.curfew import Curfew


async def asleep(curfew: Curfew, seconds: float) -> str:
    """Sleeps under a curfew; how it ended."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit, curfew.over(limit):
            await asyncio.sleep(30)
    except TimeoutError:
        return "ended"
    return "slept"


async def test_everything_under_it_ends_when_it_comes() -> None:
    """Work under way ends at once, whatever its own limit; work that begins later has no time at all."""
    curfew = Curfew()
    tasks = [asyncio.create_task(asleep(curfew, 20 + n)) for n in range(3)]
    await asyncio.sleep(0)
    assert not curfew.come
    curfew.call()
    assert await asyncio.gather(*tasks, asleep(curfew, 20)) == ["ended"] * 4
    assert curfew.come
    curfew.call()


async def test_what_has_ended_is_left_alone() -> None:
    """A limit that is no longer inside is not touched."""
    curfew = Curfew()
    assert await asleep(curfew, 0.001) == "ended"
    curfew.call()
