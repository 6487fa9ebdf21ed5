"""Prometheus metrics and the observer that feeds them from a search's events.

The registry is passed in. Every label value comes from a closed set: strategies, stop reasons, rewards that are loaded,
route templates, error classes. Counts per search live in its observer, so concurrent searches never mix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mcts import events
from mcts.errors import EspalierError
from mcts.result import SearchResult

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1200, 1800)
"""Up to half an hour: searches are long."""

CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
COUNTS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
DEPTHS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256)
SHARES = tuple(tenth / 20 for tenth in range(1, 21))


class Metrics:
    """All metrics of one server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"mcts_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"mcts_{name}", text, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"mcts_{name}", text, labels, registry=registry, buckets=buckets)

        self.request_duration = histogram(
            "request_duration_seconds", "HTTP requests, to their last byte.", SECONDS, "route", "status"
        )
        self.queue = histogram("queue_duration_seconds", "Wait of a search for a place to run.", SECONDS)
        self.running = gauge("searches_running", "Searches that run now.")
        self.waiting = gauge("searches_waiting", "Searches that wait for a place.")
        self.turned_away = counter("searches_turned_away", "Searches refused because too many run and wait.", "reason")
        self.ready = gauge("ready", "1 when the server answers chats, else 0.")

        self.traces = gauge("traces_kept", "Searches whose traces are in memory, running ones not counted.")
        self.trace_bytes = gauge("traces_bytes", "Memory that those traces take.")
        self.traces_dropped = counter("traces_dropped", "Traces that were lost, wholly or to their folder.", "reason")

        self.engine_deaths = counter("engine_deaths", "Times that an engine's process died or had to be killed.")
        self.tasks = gauge("event_loop_tasks", "Tasks of the event loop.")

        self.searches = counter("searches", "Searches that ended.", "strategy", "stop_reason")
        self.duration = histogram("search_duration_seconds", "Searches, waiting not counted.", SECONDS, "strategy")
        self.first_progress = histogram(
            "time_to_first_progress_seconds", "Until a search's first news.", SECONDS, "strategy"
        )
        self.first_answer = histogram(
            "time_to_first_answer_seconds", "Until a search's first candidate.", SECONDS, "strategy"
        )
        self.simulations = counter("simulations", "Simulations, or samples, completed.", "strategy")
        self.nodes = histogram("tree_nodes", "Nodes of a finished tree.", COUNTS, "strategy")
        self.depth = histogram("tree_depth", "Depth of a finished tree.", DEPTHS, "strategy")
        self.collisions = counter("collisions", "Simulations that met only nodes under expansion.", "strategy")
        self.rewards = histogram("reward_value", "Rewards of finished paths.", SHARES, "reward")
        self.tokens = counter("generated_tokens", "Generated tokens by use.", "strategy", "use")
        self.prompt_tokens = counter("prompt_tokens", "Tokens of prompts, once per request.")
        self.cached_tokens = counter("cached_tokens", "Prefix tokens that came from the engine's cache.")
        self.failures = counter("failures", "Searches that failed, by error class.", "cause")

        self.engine_in_flight = gauge("engine_calls_in_flight", "Calls to the generation engine that are open.")
        self.engine_calls = histogram(
            "engine_call_duration_seconds", "Calls to the generation engine.", CALL_SECONDS, "outcome"
        )
        self.engine_waiting = gauge("engine_calls_waiting", "Calls to the generation engine that wait to be opened.")
        self.reward_in_flight = gauge("reward_calls_in_flight", "Calls to reward models that are open.")
        self.reward_calls = histogram(
            "reward_call_duration_seconds", "Calls to reward models.", CALL_SECONDS, "outcome"
        )

    def observer(self, strategy: str, reward: str | None) -> events.Observer:
        """An observer for one search."""
        return _SearchObserver(self, strategy, reward or "none")

    def finished(self, strategy: str, result: SearchResult, answer_tokens: int) -> None:
        """Counts what only the result knows. ``answer_tokens`` are those that stand in the answers."""
        self.tokens.labels(strategy, "answer").inc(answer_tokens)
        self.tokens.labels(strategy, "search").inc(max(0, result.generated_tokens - answer_tokens))
        self.cached_tokens.inc(result.cached_tokens)
        self.nodes.labels(strategy).observe(result.nodes)
        self.depth.labels(strategy).observe(result.depth)

    def failed(self, error: BaseException) -> None:
        """Counts a search that ended without an answer."""
        self.failures.labels(type(error).__name__ if isinstance(error, EspalierError) else "internal").inc()


class _SearchObserver:
    def __init__(self, metrics: Metrics, strategy: str, reward: str) -> None:
        self._metrics, self._strategy, self._reward = metrics, strategy, reward
        self._news = self._answered = False
        self._handlers: dict[type, Callable[..., None]] = {
            events.PathScored: self._scored,
            events.AnswerFound: self._answer,
            events.AnswerText: self._answer,
            events.SimulationDone: lambda _: metrics.simulations.labels(strategy).inc(),
            events.Collision: lambda _: metrics.collisions.labels(strategy).inc(),
            events.EngineCalled: lambda e: metrics.engine_calls.labels(_outcome(e.failed)).observe(e.duration),
            events.RewardCalled: lambda e: metrics.reward_calls.labels(_outcome(e.failed)).observe(e.duration),
            events.SearchFinished: self._finished,
        }

    def __call__(self, event: events.Event) -> None:
        if handle := self._handlers.get(type(event)):
            handle(event)
        if not self._news and _is_news(event):
            self._news = True
            self._metrics.first_progress.labels(self._strategy).observe(event.seconds)

    def _scored(self, event: events.PathScored) -> None:
        if event.finished:
            self._metrics.rewards.labels(self._reward).observe(event.reward)

    def _answer(self, event: events.AnswerFound | events.AnswerText) -> None:
        if not self._answered:
            self._answered = True
            self._metrics.first_answer.labels(self._strategy).observe(event.seconds)

    def _finished(self, event: events.SearchFinished) -> None:
        self._metrics.searches.labels(self._strategy, event.stop_reason.value).inc()
        self._metrics.duration.labels(self._strategy).observe(event.seconds)


def _is_news(event: events.Event) -> bool:
    """Whether something came from the engine. The root (node 0) is there before the first call."""
    if isinstance(event, events.NodeAdded):
        return event.node > 0
    return isinstance(event, events.AnswerFound | events.AnswerText)


def _outcome(failed: str | None) -> str:
    return "failed" if failed else "ok"
