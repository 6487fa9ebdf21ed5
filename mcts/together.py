"""Several calls at once, under structured concurrency and without exception groups."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def together(calls: Iterable[Coroutine[Any, Any, Result]], *, at_once: bool = True) -> list[Result]:
    """Runs coroutines at once, or one after the other, and gives their results in order.

    The first to fail cancels the others, and its exception is raised as it is once they have all ended.
    """
    if not at_once:
        return [await call for call in calls]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
