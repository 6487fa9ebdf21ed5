"""What every strategy has in common: one ``async def`` over the ports."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from mcts.budget import Clock
from mcts.events import Observer, Observers
from mcts.ports import AnswerReader, Engine
from mcts.result import SearchResult, Task
from mcts.reward_ports import AnyReward


@dataclass(frozen=True, slots=True, eq=False)
class Ports:
    """What a search works with. ``reward`` is None for strategies that score nothing."""

    engine: Engine
    answers: AnswerReader
    reward: AnyReward | None = None
    clock: Clock = time.monotonic
    observe: Observer = field(default_factory=Observers)


Strategy = Callable[[Task, Ports, Any], Awaitable[SearchResult]]
"""A strategy: the task, the ports and the strategy's own frozen options. Cancelling it cancels its engine calls.

Raises:
    NoAnswerInTime: The budget ended before any candidate existed.
    EngineError, RewardError: An engine failed before any candidate existed.
"""
