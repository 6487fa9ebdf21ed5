"""One search as it is recorded: its events as they came, running counts, and how it ended.

Recording is an append per event, since it happens on the event loop; ``server.traces.document`` makes JSON of it,
elsewhere and later. Knows neither JSON nor where traces are kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mcts import events
from mcts.result import SearchResult, Task
from server.backend import Backend
from server.plans import Plan

State = Literal["running", "finished", "failed", "cancelled"]
"""Where a search stands. ``finished`` has an answer, whatever ended it; the others have none."""

EVENT_BYTES = 256
"""About what one event takes in memory, and more than it takes as JSON without its texts."""

NODE_BYTES = 768
"""About what a node takes besides its text and tokens: its event, its step and the headers of its arrays."""

TOKEN_BYTES = 64
"""About what a token of a node takes: its id, its log-probability and five alternatives."""


class Asked(Protocol):
    """What is searched; an ``Assignment`` is."""

    @property
    def id(self) -> str:
        """Names the reply. Clients may choose it, so it need not be unique."""
        ...

    @property
    def search_id(self) -> str:
        """Names the search; unique."""
        ...

    @property
    def model(self) -> str:
        """The model or preset, as the client named it."""
        ...

    @property
    def task(self) -> Task:
        """The question and its limits."""
        ...

    @property
    def plan(self) -> Plan:
        """How it is searched."""
        ...

    @property
    def backend(self) -> Backend:
        """What it runs on."""
        ...


@dataclass(slots=True)
class Counts:
    """What a search has done so far. Counted from all events, those that are not recorded included."""

    simulations: int = 0
    nodes: int = 0
    depth: int = 0
    generated_tokens: int = 0
    cached_tokens: int = 0
    engine_calls: int = 0
    reward_calls: int = 0

    def add(self, event: events.Event) -> None:
        """Counts one event."""
        match event:
            case events.NodeAdded():
                self.nodes += 1
                self.depth = max(self.depth, event.depth)
            case events.EngineCalled():
                self.engine_calls += 1
                self.generated_tokens += event.generated_tokens
                self.cached_tokens += event.cached_tokens
            case events.RewardCalled():
                self.reward_calls += 1
            case events.SimulationDone():
                self.simulations = event.done
            case _:
                pass


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A recording at one moment. Nothing of it changes any more, so any thread may read it.

    Attributes:
        asked: What is searched.
        number: Counts the searches of this server; later ones have higher numbers.
        created: When it began, Unix time in seconds.
        waited: Seconds it waited for a place.
        seconds: Since it began, or from its beginning to its end.
        state: Where it stands.
        stop_reason: Why it ended; None while it runs, and where it was refused before it began.
        events: What was recorded, in its order.
        counts: What it had done.
        truncated: Whether anything was left out for want of room.
        prompt_fits: Whether there was room for the prompt.
        result: What it found, if it has.
        error: What it failed with, if it has.
    """

    asked: Asked
    number: int
    created: float
    waited: float
    seconds: float
    state: State
    stop_reason: str | None
    events: tuple[events.Event, ...]
    counts: Counts
    truncated: bool
    prompt_fits: bool
    result: SearchResult | None = None
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class Recording:
    """Records one search: an observer of its events. Used on the event loop only.

    Args:
        asked: What is searched.
        key: Which of the server's keys asked for it, as a name that is no secret; empty where there are none.
        number: Counts the searches of this server.
        created: When it began, Unix time in seconds.
        waited: Seconds it waited for a place.
        most: Bytes, about, that may be recorded; 0 only counts.
        on_end: Told once, when it has ended.
    """

    asked: Asked
    key: str
    number: int
    created: float
    waited: float
    most: int
    on_end: Callable[[Recording], None]

    state: State = "running"
    stop_reason: str | None = None
    counts: Counts = field(default_factory=Counts)
    cost: int = 0  # bytes, about
    truncated: bool = False
    prompt_fits: bool = True
    _events: list[events.Event] = field(default_factory=list)
    _began: float = 0.0  # by the backend's clock
    _seconds: float | None = None
    _result: SearchResult | None = None
    _error: BaseException | None = None

    def __post_init__(self) -> None:
        self._began = self.asked.backend.clock()
        prompt = self.asked.task.prompt
        self.cost = EVENT_BYTES + len(prompt.text) + sum(len(message.content) for message in prompt.messages)
        if self.cost > self.most:
            self.cost, self.truncated, self.prompt_fits = EVENT_BYTES, True, False

    @property
    def id(self) -> str:
        """Name of the search."""
        return self.asked.search_id

    def __call__(self, event: events.Event) -> None:
        """Takes in one event. Past the limit nothing more is recorded, so that what is there can be replayed."""
        self.counts.add(event)
        if isinstance(event, events.SearchFinished):
            self.stop_reason = event.stop_reason.value
        elif isinstance(event, events.AnswerText):
            return  # the text of the answer, told once more piece by piece
        elif self.truncated:
            return
        else:
            cost = cost_of(event)
            if self.cost + cost > self.most:
                self.truncated = True
                return
            self.cost += cost
        self._events.append(event)

    def answered(self, result: SearchResult) -> None:
        """It has found something."""
        self._result, self.stop_reason = result, result.stop_reason.value
        self._end("finished", result.seconds)

    def failed(self, error: BaseException) -> None:
        """It has ended without an answer."""
        self._error = error
        self._end("failed")

    def cancelled(self) -> None:
        """Whoever asked went away."""
        self._end("cancelled")

    def snapshot(self, *, whole: bool = True) -> Snapshot:
        """What there is of it now; its events only where the ``whole`` is asked for."""
        return Snapshot(
            asked=self.asked,
            number=self.number,
            created=self.created,
            waited=self.waited,
            seconds=self._elapsed() if self._seconds is None else self._seconds,
            state=self.state,
            stop_reason=self.stop_reason if self.state != "running" else None,
            events=tuple(self._events) if whole else (),
            counts=dataclasses.replace(self.counts),
            truncated=self.truncated,
            prompt_fits=self.prompt_fits,
            result=self._result,
            error=self._error,
        )

    def _end(self, state: State, seconds: float | None = None) -> None:
        self.state, self._seconds = state, self._elapsed() if seconds is None else seconds
        self.on_end(self)

    def _elapsed(self) -> float:
        return self.asked.backend.clock() - self._began


def cost_of(event: events.Event) -> int:
    """About how many bytes an event takes, with what it alone refers to."""
    match event:
        case events.NodeAdded():
            return NODE_BYTES + len(event.text) + TOKEN_BYTES * event.tokens
        case events.AnswerFound():  # of its tokens only the text is known here: about four characters each
            return EVENT_BYTES + 4 * len(event.text) + len(event.answer or "")
        case events.PathScored():
            return EVENT_BYTES + len(event.critique) + 24 * len(event.step_rewards)
        case events.SimulationDone():
            return EVENT_BYTES + len(event.best_answer or "")
        case _:
            return EVENT_BYTES
