"""Several calls at once, under structured concurrency and without exception groups."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


def caught(errors: BaseExceptionGroup[BaseException]) -> tuple[BaseException, ...]:
    """What a task group raised, once it has been caught: its exceptions, its own traceback cut off.

    Python's task group (before 3.13) keeps what it raises in a frame that the traceback keeps: such a circle, and all
    that its frames hold, a whole search, would wait for the garbage collector.
    """
    errors.__traceback__ = None
    return errors.exceptions


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
        raise caught(errors)[0] from None
    return [task.result() for task in tasks]
