"""The state of one running server: its engine, rewards, presets and phase. Knows no HTTP.

    starting ──► ready ──────────► draining ──► stopped
        │        ▲   ▼
        │      recovering
        └──────────┴─────► failed

Chats are answered in ``ready`` only; running searches go on while draining, and while a dead engine is started again
those go on that do not need it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from starlette.requests import Request

from mcts.curfew import Curfew
from mcts.errors import EngineDead, NotReady, ServerError, StartupError
from mcts.reward_ports import AnyReward
from server.admission import Admission
from server.backend import Backend, Loader, Report
from server.counted import CountedEngine, counted_reward
from server.form_checker import FormChecker
from server.metrics import Metrics
from server.presets import Preset, served_presets
from server.settings import Settings
from server.supervision import Supervisor
from server.traces.store import Traces
from server.version import version

if TYPE_CHECKING:
    from server.spans import Tracing

_log = logging.getLogger(__name__)


class Phase(StrEnum):
    """Where the server is in its life."""

    STARTING = "starting"
    READY = "ready"
    RECOVERING = "recovering"
    DRAINING = "draining"
    FAILED = "failed"
    STOPPED = "stopped"


class Runtime:
    """One server's state. ``start`` and ``stop`` are called once each, by the app's lifespan.

    Args:
        settings: What the operator chose.
        load: Makes the backend.
        metrics: Where things are counted.
        report: Told each phase of start-up.
        tracing: Makes spans of searches; None for none.
    """

    def __init__(
        self,
        settings: Settings,
        load: Loader,
        metrics: Metrics,
        report: Report | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.tracing = tracing
        self.admission = Admission(
            settings.max_searches,
            settings.max_queue,
            settings.queue_seconds,
            metrics,
            per_key=settings.max_searches_per_key,
        )
        self.forms = FormChecker()
        self.traces = Traces(settings, metrics)
        self.curfew = Curfew()  # called when running searches must give their best answer so far
        self.phase = Phase.STARTING
        self.doing = "starting"
        self.failure: ServerError | None = None
        self.created = int(time.time())
        self.stopping = asyncio.Event()  # set when running searches must end now
        self.settled = asyncio.Event()  # set once start-up has succeeded or failed
        self._load, self._report = load, report
        self._describe(metrics)
        self._backend: Backend | None = None
        self._presets: dict[str, Preset] = {}
        self._starting: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    def _describe(self, metrics: Metrics) -> None:
        """Tells the metrics what stays the same, and how to see what changes."""
        metrics.know_build(version(), self.settings.engine)
        metrics.places.set(self.settings.max_searches)
        metrics.queue_places.set(self.settings.max_queue)
        for phase in Phase:
            metrics.state.labels(phase.value).set_function(functools.partial(self._is_in, phase))

    def _is_in(self, phase: Phase) -> float:
        return float(self.phase is phase)

    def start(self) -> None:
        """Begins to load in the background, so that the server answers health checks meanwhile."""
        self._starting = asyncio.create_task(self._start(), name="start-up")

    async def stop(self) -> None:
        """Ends loading and running searches and frees the engines."""
        self.phase = Phase.STOPPED if self.phase is not Phase.FAILED else self.phase
        self.metrics.ready.set(0)
        self.stopping.set()
        for task in (self._starting, self._watching):
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self.forms.close()
        if self._backend:
            await self._backend.answers.close()
            await self._backend.close()
        await asyncio.to_thread(self.traces.close)

    def drain(self) -> None:
        """Takes no more searches. Safe to call again, and from a signal handler."""
        if self.phase in {Phase.STARTING, Phase.READY, Phase.RECOVERING}:
            self.phase = Phase.DRAINING
            self.metrics.ready.set(0)

    @property
    def backend(self) -> Backend:
        """What searches run on.

        Raises:
            NotReady: The server is starting, draining or failed.
        """
        if self.phase is not Phase.READY or self._backend is None:
            raise NotReady(self.describe())
        return self._backend

    @property
    def registries(self) -> tuple[CollectorRegistry, ...]:
        """Our metrics', and those in which engines of this process keep their own."""
        return (self.metrics.registry, *(self._backend.registries() if self._backend else ()))

    @property
    def failovers(self) -> int:
        """Calls that were made again on another engine, since the start."""
        return self._backend.failovers() if self._backend else 0

    @property
    def presets(self) -> dict[str, Preset]:
        """The presets that can be served, by name; empty before the rewards are known."""
        return self._presets

    def describe(self) -> str:
        """The phase in one sentence."""
        match self.phase:
            case Phase.STARTING:
                return f"The server is starting: {self.doing}."
            case Phase.FAILED:
                return f"The server could not start, or lost its engine: {self.failure}"
            case Phase.RECOVERING:
                return "The engine died and is being started again."
            case phase:
                return f"The server is {phase.value}."

    def healthy(self) -> bool:
        """Whether a chat sent now would be answered."""
        if self.phase is not Phase.READY or self._backend is None:
            return False
        alive = self._backend.healthy()
        self.metrics.ready.set(alive)
        return alive

    async def _start(self) -> None:
        try:
            self._adopt(await self._load(self.settings, self._tell))
        except StartupError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - whatever an engine raises, the process must end with one clear line
            _log.exception("start-up failed")
            self._fail(StartupError(f"unexpected {type(error).__name__} while {self.doing}: {error}"))
        finally:
            self.settled.set()

    def _adopt(self, backend: Backend) -> None:
        rewards = {name: counted_reward(reward, self.metrics) for name, reward in backend.rewards.items()}
        if backend.model_name:
            self.settings = self.settings.model_copy(update={"served_model_name": backend.model_name})
        self._backend = replace(
            backend, engine=CountedEngine(backend.engine, self.metrics, self.settings.max_engine_calls), rewards=rewards
        )
        self._presets = served_presets(rewards)
        self.metrics.know_rewards(rewards)
        self._check_defaults(rewards)
        if self.phase is Phase.STARTING:
            self.phase = Phase.READY
            self.metrics.ready.set(1)
            backend.answers.warm()
            watch = Supervisor(backend, self.settings.on_engine_death, self).watch()
            self._watching = asyncio.create_task(watch, name="supervisor")

    def engine_down(self) -> None:
        """An engine is gone: no chats until it is back."""
        self.metrics.engine_deaths.inc()
        self.metrics.ready.set(0)
        if self.phase is Phase.READY:
            self.phase = Phase.RECOVERING

    def engine_up(self) -> None:
        """Chats are answered again."""
        if self.phase is Phase.RECOVERING:
            self.phase = Phase.READY
            self.metrics.ready.set(1)

    def engine_lost(self, error: EngineDead) -> None:
        """An engine is gone for good: the process ends, running searches give what they have."""
        self.metrics.engine_deaths.inc()
        self.metrics.ready.set(0)
        self.failure, self.phase = error, Phase.FAILED
        self.curfew.call()

    def _check_defaults(self, rewards: Mapping[str, AnyReward]) -> None:
        default = self.settings.default_preset
        if default not in self._presets:
            raise StartupError(f"default_preset {default!r} is not one of: {', '.join(self._presets)}")
        if self.settings.default_reward not in {"", *rewards}:
            raise StartupError(f"default_reward {self.settings.default_reward!r} is not one of: {', '.join(rewards)}")

    def _fail(self, error: StartupError) -> None:
        self.failure, self.phase = error, Phase.FAILED

    def _tell(self, doing: str) -> None:
        self.doing = doing
        if self._report:
            self._report(doing)


def runtime_of(request: Request) -> Runtime:
    """The state of the server that a request came to."""
    runtime: Runtime = request.app.state.runtime
    return runtime
