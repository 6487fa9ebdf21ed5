"""What every strategy has in common: one ``async def`` over the ports."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mcts.budget import Clock
from mcts.curfew import Curfew
from mcts.events import Observer, Observers
from mcts.ports import AnswerReader, Engine, Message
from mcts.result import SearchResult, Task
from mcts.reward_ports import AnyReward


class ChatRenderer(Protocol):
    """Renders chats that a search makes up itself, such as a request to criticise an answer."""

    async def render(self, messages: Sequence[Message], *, continue_final: bool = False) -> Sequence[int]:
        """As ``Tokenizer.render``, without holding up the event loop.

        Raises:
            InvalidRequest: The model's template refuses these messages.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Ports:
    """What a search works with.

    ``reward`` is None for strategies that score nothing. ``renderer`` is only needed by strategies that hold chats of
    their own. ``curfew`` ends the search before its own deadline.
    """

    engine: Engine
    answers: AnswerReader
    reward: AnyReward | None = None
    renderer: ChatRenderer | None = None
    clock: Clock = time.monotonic
    observe: Observer = field(default_factory=Observers)
    curfew: Curfew = field(default_factory=Curfew)


Strategy = Callable[[Task, Ports, Any], Awaitable[SearchResult]]
"""A strategy: the task, the ports and the strategy's own frozen options. Cancelling it cancels its engine calls.

Raises:
    NoAnswerInTime: The budget ended before any candidate existed.
    EngineError, RewardError: An engine failed before any candidate existed.
"""
