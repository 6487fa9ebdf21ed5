"""Rewards of the operator's own: any Python function named ``package.module:function``."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mcts.errors import RewardCallFailed, StartupError
from mcts.ports import Path, PathScore
from mcts.together import together
from reward.solutions import question_of

Function = Callable[[str, str], Any]
"""Question and answer to a number in [0, 1], or a coroutine that gives one."""

THREADS = 32
"""Calls of one plain function that run at the same time; further ones wait. Such functions mostly wait themselves."""


@dataclass(frozen=True, slots=True)
class FunctionReward:
    """A ``RewardModel`` over a function of question and answer.

    An ``async def`` is awaited in the event loop. A plain function runs in one of ``THREADS`` threads of its own, so
    that a slow one holds up nobody but those who ask for this reward; it cannot be stopped there, but a cancelled
    search does not wait for it.

    Args:
        name: What it is called in errors.
        function: The function.
    """

    name: str
    function: Function
    top_logprobs: int = 0
    _threads: ThreadPoolExecutor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Not the event loop's own threads: tokenizing, engines that start and much else wait for one of those.
        object.__setattr__(self, "_threads", ThreadPoolExecutor(THREADS, f"reward-{self.name}"))

    async def score(self, paths: Sequence[Path]) -> list[PathScore]:
        """Scores each path, in order, all at once.

        Raises:
            RewardCallFailed: The function raised, or gave no number from 0 to 1.
        """
        return await together(self._score(path) for path in paths)

    async def _score(self, path: Path) -> PathScore:
        try:
            if _is_async(self.function):
                value = await self.function(question_of(path), path.text)
            else:
                loop, call = asyncio.get_running_loop(), contextvars.copy_context().run
                value = await loop.run_in_executor(self._threads, call, self.function, question_of(path), path.text)
            number = float(value)
        except Exception as error:  # whatever an operator's function raises, it is this call that failed
            raise RewardCallFailed(f"The reward {self.name!r} failed: {type(error).__name__}.") from error
        if not (math.isfinite(number) and 0 <= number <= 1):
            raise RewardCallFailed(f"The reward {self.name!r} gave {number}, which is not between 0 and 1.")
        return PathScore(number)


def load_function(name: str, target: str) -> FunctionReward:
    """Loads a reward.

    Args:
        name: The reward's name.
        target: ``package.module:function``, importable where the server runs.

    Raises:
        StartupError: It is not of that form, cannot be imported, or takes no question and answer.
    """
    module, colon, attribute = target.partition(":")
    if not (module and colon and attribute):
        raise StartupError(f"The reward {name!r} must be named package.module:function, not {target!r}.")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # importing runs the operator's code, which may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise StartupError(f"The reward {name!r} cannot be loaded from {target!r}: {reason}") from error
    try:
        inspect.signature(function).bind("question", "answer")
    except (TypeError, ValueError):
        raise StartupError(f"The reward {name!r} must be a function of a question and an answer.") from None
    return FunctionReward(name, function)


def _is_async(function: Any) -> bool:
    """Whether calling it gives a coroutine: an ``async def``, or an object whose ``__call__`` is one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
