"""What happens in a search, told to observers. A failing observer is logged and dropped; it never fails a search."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from mcts.budget import StopReason
from mcts.ports import Step

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SearchStarted:
    """The search began. Limits are None where there is none."""

    strategy: str
    simulations: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class NodeAdded:
    """A node joined the tree. ``node`` counts from 0 (the root); ``tokens`` are those of its own step.

    ``visits`` and ``value`` are those of kept rollouts that pass through it: they have long been counted in its
    ancestors. Later visits are told by ``BackedUp``, so the events of a search are enough to redraw its tree.
    ``steps`` are what the node adds, with their tokens: one step of a path, or all of a whole answer. Streams do not
    tell them.
    """

    node: int
    parent: int | None
    depth: int
    text: str
    tokens: int
    terminal: bool
    prior: float
    seconds: float
    visits: int = 0
    value: float = 0.0
    steps: tuple[Step, ...] = field(default=(), repr=False, compare=False, metadata={"told": False})


@dataclass(frozen=True, slots=True)
class PathScored:
    """A rollout from ``node`` (None outside trees) was scored. ``finished`` tells an answer from a beginning.

    ``critique`` is what the reward said in words, if it did.
    """

    node: int | None
    reward: float
    step_rewards: tuple[float, ...]
    finished: bool
    seconds: float
    critique: str = ""


@dataclass(frozen=True, slots=True)
class Selected:
    """What to work on next was chosen from the tree, which took ``duration`` seconds."""

    node: int
    duration: float
    seconds: float


@dataclass(frozen=True, slots=True)
class BackedUp:
    """Rewards were added from ``node`` to the root: ``visits`` more visits, ``value`` more in the sums.

    It took ``duration`` seconds.
    """

    node: int
    visits: int
    value: float
    seconds: float
    duration: float = 0.0


@dataclass(frozen=True, slots=True)
class Collision:
    """A simulation met only nodes that others are expanding and waits for news."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AnswerFound:
    """A candidate was found. ``answer`` is None for a text without a recognisable answer."""

    node: int | None
    answer: str | None
    text: str
    reward: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class SimulationDone:
    """A simulation (or sample) ended. ``done`` counts those completed so far."""

    done: int
    best_answer: str | None
    best_weight: float
    seconds: float


@dataclass(frozen=True, slots=True)
class EngineCalled:
    """A call to the generation engine ended. Durations in seconds; ``failed`` names the error class, None when well.

    ``prefix_tokens`` are those that continuations which came were to go on from, once for each; ``cached_tokens`` of
    them the engine did not have to read again.
    """

    continuations: int
    generated_tokens: int
    cached_tokens: int
    duration: float
    failed: str | None
    seconds: float
    prefix_tokens: int = 0


@dataclass(frozen=True, slots=True)
class RewardCalled:
    """A call to the reward model ended. Fields as in ``EngineCalled``."""

    paths: int
    duration: float
    failed: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class AnswerText:
    """Text that is certain to stand next in the final answer. Only strategies that commit early emit it."""

    text: str
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Committed:
    """The answer begins with the path to ``node`` from now on: the search goes on below it only.

    ``visits`` and ``value`` (sum of rewards) are those the decision was made by.
    """

    node: int
    depth: int
    visits: int
    value: float
    seconds: float


@dataclass(frozen=True, slots=True)
class SearchFinished:
    """The search ended."""

    stop_reason: StopReason
    answer: str | None
    node: int | None
    seconds: float


Event = (
    SearchStarted
    | NodeAdded
    | PathScored
    | Selected
    | BackedUp
    | Collision
    | AnswerFound
    | SimulationDone
    | EngineCalled
    | RewardCalled
    | AnswerText
    | Committed
    | SearchFinished
)

Observer = Callable[[Event], None]
"""Called on the event loop for every event; must not block."""


class Observers:
    """Passes events on to observers and drops one that raises."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = list(observers)

    def __call__(self, event: Event) -> None:
        """Tells every observer that has not failed yet."""
        for observer in tuple(self._observers):
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - an observer's fault is never the search's
                _log.exception("an observer failed and is dropped from this search")
                self._observers.remove(observer)
