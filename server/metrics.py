"""Every Prometheus metric of one server. ``docs/metrics.md`` is made from this module.

The registry is passed in. Every label value comes from a closed set: strategies, stop reasons, rewards that are loaded,
route templates, statuses, error classes. One process serves everything, so nothing is summed over workers.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Info

from mcts.budget import StopReason
from mcts.errors import EspalierError
from mcts.strategies import STRATEGIES
from server.metric_kinds import PREFIX, Declarations, Declared, zeroed
from server.metric_observer import SearchObserver, StrategySeries

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1200, 1800)
"""Up to half an hour: searches are long."""

CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1800)
PHASE_SECONDS = (1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
COUNTS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
DEPTHS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256)
BRANCHES = (1, 1.5, 2, 2.5, 3, 4, 5, 8, 12, 20)
SHARES = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1)

ROUTES = ("/v1/chat/completions", "/v1/completions")
"""Routes that search; their series are there from the start, those of others from the first request on."""

STATUSES = ("200", "400", "429", "499", "500", "503", "504")
PHASES = ("select", "generate", "score", "back_up")
OUTCOMES = ("ok", "cancelled", "failed")
USES = ("answer", "search", "lost")
REFUSALS = ("key_limit", "queue_full", "timeout")
LOSSES = ("failed", "queue_full", "too_large", "write_failed")
LIFE = ("starting", "ready", "recovering", "draining", "failed", "stopped")

INTERNAL = "internal"
"""The cause of a failure that was not raised on purpose."""

BUILD = ("version", "engine", "python", "processes")
"""Labels of the build."""

_BY_STRATEGY = {"strategy": tuple(STRATEGIES)}


def _causes(base: type[EspalierError] = EspalierError) -> tuple[str, ...]:
    ours = [each for each in base.__subclasses__() if each.__module__ == EspalierError.__module__]
    return tuple(name for each in ours for name in (each.__name__, *_causes(each)))


CAUSES = (*_causes(), INTERNAL)


class Metrics:
    """All metrics of one server.

    Args:
        registry: Where they live.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._declared = Declarations(registry)
        self._failovers = 0  # counted so far
        self._strategies: dict[str, StrategySeries] = {}
        self._declare_service()
        self._declare_searches()
        self._declare_trees()
        self._declare_calls()

    @property
    def declared(self) -> list[Declared]:
        """Every metric, in the order of the page."""
        labels = dict.fromkeys(BUILD, ())
        build = Declared(f"{PREFIX}build_info", "gauge", "1; its labels say what runs.", labels, zeroed=True)
        return [build, *self._declared.all]

    def observer(self, strategy: str, reward: str | None) -> SearchObserver:
        """An observer for one search."""
        if strategy not in self._strategies:
            self._strategies[strategy] = StrategySeries(self, strategy)
        return SearchObserver(self, self._strategies[strategy], reward or "none")

    def failed(self, error: BaseException) -> None:
        """Counts a search that ended without an answer."""
        name = type(error).__name__
        self.failures.labels(name if name in CAUSES else INTERNAL).inc()

    def count_failovers(self, so_far: int) -> None:
        """Brings the count of failovers up to what the fleets say; asked at each scrape."""
        self.failovers.inc(max(0, so_far - self._failovers))
        self._failovers = max(so_far, self._failovers)

    def know_rewards(self, names: Iterable[str]) -> None:
        """Begins the series of the rewards that the server has turned out to have."""
        zeroed(self.rewards, {"reward": tuple(names)})

    def know_build(self, version: str, engine: str) -> None:
        """Says what runs: our version, the kind of engine, Python's version; and that it is one process."""
        self.build.info(dict(zip(BUILD, (version, engine, platform.python_version(), "1"), strict=True)))

    def _declare_service(self) -> None:
        make = self._declared
        self.build = Info(f"{PREFIX}build", "What runs.", registry=self.registry)
        self.ready = make.gauge("ready", "1 when the server answers chats, else 0.")
        self.state = make.gauge("server_state", "1 for the state that the server is in.", {"state": LIFE})
        self.request_duration = make.histogram(
            "request_duration_seconds",
            "HTTP requests, to their last byte. A stream that fails after its first byte counts under the status that "
            "it would have had before.",
            SECONDS,
            {"route": ROUTES, "status": STATUSES},
            zero=True,
        )
        self.queue = make.histogram("queue_duration_seconds", "Wait of a search for a place to run.", SECONDS)
        self.running = make.gauge("searches_running", "Searches that run now.")
        self.waiting = make.gauge("searches_waiting", "Searches that wait for a place.")
        self.places = make.gauge("search_places", "Searches that may run at once (max_searches).")
        self.queue_places = make.gauge("queue_places", "Searches that may wait for a place (max_queue).")
        self.turned_away = make.counter(
            "searches_turned_away", "Searches refused because too many run and wait.", {"reason": REFUSALS}
        )
        self.traces = make.gauge("traces_kept", "Searches whose traces are in memory, running ones not counted.")
        self.trace_bytes = make.gauge("traces_bytes", "Memory that those traces take.")
        self.traces_dropped = make.counter(
            "traces_dropped", "Traces that were lost, wholly or to their folder.", {"reason": LOSSES}
        )
        self.engine_deaths = make.counter(
            "engine_deaths", "Times that an engine's process died or had to be killed, or did not start again."
        )
        self.tasks = make.gauge("event_loop_tasks", "Tasks of the event loop.")
        self.loop_lag = make.histogram(
            "event_loop_lag_seconds", "How late the event loop is, looked at four times a second.", LAG_SECONDS
        )

    def _declare_searches(self) -> None:
        make = self._declared
        reasons = tuple(reason.value for reason in StopReason)
        self.searches = make.counter("searches", "Searches that ended.", {**_BY_STRATEGY, "stop_reason": reasons})
        self.duration = make.histogram(
            "search_duration_seconds", "Searches, waiting for a place not counted.", SECONDS, _BY_STRATEGY
        )
        self.first_progress = make.histogram(
            "time_to_first_progress_seconds", "From a search's beginning to its first news.", SECONDS, _BY_STRATEGY
        )
        self.first_answer = make.histogram(
            "time_to_first_answer_seconds", "From a search's beginning to its first candidate.", SECONDS, _BY_STRATEGY
        )
        self.first_token = make.histogram(
            "time_to_first_answer_token_seconds",
            "From a search's beginning to the first text that is certain to stand in the answer: what a stream tells.",
            SECONDS,
            _BY_STRATEGY,
        )
        self.failures = make.counter("failures", "Searches that failed, by error class.", {"cause": CAUSES})
        self.tokens = make.counter(
            "generated_tokens",
            "Generated tokens: those of answers, those spent on finding them, and those of searches that gave none.",
            {**_BY_STRATEGY, "use": USES},
        )
        self.prompt_tokens = make.counter("prompt_tokens", "Tokens of prompts, once per search.")

    def _declare_trees(self) -> None:
        make = self._declared
        self.simulations = make.counter("simulations", "Simulations, or samples, completed.", _BY_STRATEGY)
        self.collisions = make.counter(
            "collisions", "Simulations that met only nodes under expansion and had to wait.", _BY_STRATEGY
        )
        self.nodes = make.histogram("tree_nodes", "Nodes of a tree at the search's end.", COUNTS, _BY_STRATEGY)
        self.depth = make.histogram("tree_depth", "Edges from the root to the deepest node.", DEPTHS, _BY_STRATEGY)
        self.branching = make.histogram(
            "tree_branching", "Mean number of children of the nodes that have any.", BRANCHES, _BY_STRATEGY
        )
        self.root_value = make.histogram(
            "root_value", "Mean reward of a tree's visits at the search's end.", SHARES, _BY_STRATEGY
        )
        self.answer_value = make.histogram(
            "answer_value", "Reward of the answer that was given, where answers are scored.", SHARES, _BY_STRATEGY
        )
        self.margin = make.histogram(
            "vote_margin",
            "Of several candidates: the winner's lead over the runner-up, as a share of all weight. 1 is unanimous.",
            SHARES,
            _BY_STRATEGY,
        )
        self.rewards = make.histogram("reward_value", "Rewards of finished paths.", SHARES, {"reward": ()})

    def _declare_calls(self) -> None:
        make = self._declared
        self.phases = make.histogram(
            "phase_duration_seconds",
            "Parts of simulations: choosing in the tree, a call to the engine, a call to the reward, backing up.",
            PHASE_SECONDS,
            {"phase": PHASES},
            zero=True,
        )
        self.engine_calls = make.histogram(
            "engine_call_duration_seconds",
            "Calls to the generation engine; cancelled ones were no longer needed.",
            CALL_SECONDS,
            {"outcome": OUTCOMES},
            zero=True,
        )
        self.engine_in_flight = make.gauge("engine_calls_in_flight", "Calls to the generation engine that are open.")
        self.engine_waiting = make.gauge(
            "engine_calls_waiting", "Calls to the generation engine that wait to be opened (max_engine_calls)."
        )
        self.failovers = make.counter(
            "failovers", "Calls that were made again on another engine of a fleet, because the first one failed."
        )
        self.reward_calls = make.histogram(
            "reward_call_duration_seconds",
            "Calls to rewards; cancelled ones were no longer needed, or had no room in the budget.",
            CALL_SECONDS,
            {"outcome": OUTCOMES},
            zero=True,
        )
        self.reward_in_flight = make.gauge("reward_calls_in_flight", "Calls to rewards that are open.")
        self.prefix_tokens = make.counter(
            "prefix_tokens", "Tokens that continuations went on from, once for each continuation."
        )
        self.cached_tokens = make.counter("cached_tokens", "Of those, tokens that came from the engine's cache.")


def declared_metrics() -> list[Declared]:
    """Every metric that a server has, without a server."""
    return Metrics(CollectorRegistry()).declared
