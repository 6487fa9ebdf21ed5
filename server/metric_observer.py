"""Feeds metrics from one search's events. Counts of a search live in its observer, so concurrent ones never mix."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from mcts import events
from mcts.budget import StopReason
from mcts.result import SearchResult, Tally

if TYPE_CHECKING:
    from server.metrics import Metrics

NOT_NEEDED = frozenset({"CancelledError", "GeneratorExit", "OutOfTokens"})
"""How calls end that are no failures: their search ended first, or its budget had no room for them."""


class StrategySeries:
    """The series of one strategy, looked up once: a look-up costs more than counting does."""

    def __init__(self, metrics: Metrics, strategy: str) -> None:
        self.ended = {reason: metrics.searches.labels(strategy, reason) for reason in StopReason}
        self.duration = metrics.duration.labels(strategy)
        self.first_progress = metrics.first_progress.labels(strategy)
        self.first_answer = metrics.first_answer.labels(strategy)
        self.first_token = metrics.first_token.labels(strategy)
        self.simulations = metrics.simulations.labels(strategy)
        self.collisions = metrics.collisions.labels(strategy)
        self.nodes = metrics.nodes.labels(strategy)
        self.depth = metrics.depth.labels(strategy)
        self.branching = metrics.branching.labels(strategy)
        self.root_value = metrics.root_value.labels(strategy)
        self.answer_value = metrics.answer_value.labels(strategy)
        self.margin = metrics.margin.labels(strategy)
        self.answer_tokens = metrics.tokens.labels(strategy, "answer")
        self.search_tokens = metrics.tokens.labels(strategy, "search")
        self.lost_tokens = metrics.tokens.labels(strategy, "lost")
        self.select, self.generate, self.score, self.back_up = (
            metrics.phases.labels(phase) for phase in ("select", "generate", "score", "back_up")
        )


class SearchObserver:
    """Counts one search.

    Args:
        metrics: Where.
        series: The strategy's.
        reward: Name of the reward.
    """

    def __init__(self, metrics: Metrics, series: StrategySeries, reward: str) -> None:
        self._metrics, self._series, self._reward = metrics, series, reward
        self._news = self._answered = self._certain = False
        self._generated = self._visits = self._nodes = 0
        self._value = 0.0
        self._parents: set[int] = set()

    def __call__(self, event: events.Event) -> None:
        """Counts an event."""
        if handle := self._HANDLERS.get(type(event)):
            handle(self, event)

    def answered(self, result: SearchResult, answer_tokens: int) -> None:
        """Counts what only the result knows. ``answer_tokens`` are those that stand in the answers."""
        series, winner = self._series, result.winners[0]
        series.answer_tokens.inc(answer_tokens)
        series.search_tokens.inc(max(0, result.generated_tokens - answer_tokens))
        if not self._certain:
            series.first_token.observe(result.seconds)
        if winner.reward is not None:
            series.answer_value.observe(winner.reward)
        if len(result.candidates) > 1:
            series.margin.observe(margin(result.tallies))
        if result.nodes:
            series.nodes.observe(result.nodes)
            series.depth.observe(result.depth)
        if self._parents:
            series.branching.observe(self._nodes / len(self._parents))
        if self._visits:
            series.root_value.observe(self._value / self._visits)

    def lost(self) -> None:
        """Counts the tokens of a search that gave no answer."""
        self._series.lost_tokens.inc(self._generated)

    def _node(self, event: events.NodeAdded) -> None:
        if event.parent is not None:  # the root is there before the first call
            self._nodes += 1
            self._parents.add(event.parent)
            self._first_news(event.seconds)

    def _selected(self, event: events.Selected) -> None:
        self._series.select.observe(event.duration)

    def _simulated(self, _: events.SimulationDone) -> None:
        self._series.simulations.inc()

    def _collided(self, _: events.Collision) -> None:
        self._series.collisions.inc()

    def _scored(self, event: events.PathScored) -> None:
        if event.finished:
            self._metrics.rewards.labels(self._reward).observe(event.reward)

    def _backed_up(self, event: events.BackedUp) -> None:
        self._visits += event.visits
        self._value += event.value
        self._series.back_up.observe(event.duration)

    def _candidate(self, event: events.AnswerFound | events.AnswerText) -> None:
        self._first_news(event.seconds)
        if not self._answered:
            self._answered = True
            self._series.first_answer.observe(event.seconds)

    def _text(self, event: events.AnswerText) -> None:
        self._candidate(event)
        if not self._certain:
            self._certain = True
            self._series.first_token.observe(event.seconds)

    def _first_news(self, seconds: float) -> None:
        if not self._news:
            self._news = True
            self._series.first_progress.observe(seconds)

    def _engine_called(self, event: events.EngineCalled) -> None:
        self._generated += event.generated_tokens
        self._metrics.prefix_tokens.inc(event.prefix_tokens)
        self._metrics.cached_tokens.inc(event.cached_tokens)
        self._metrics.engine_calls.labels(outcome(event.failed)).observe(event.duration)
        self._series.generate.observe(event.duration)

    def _reward_called(self, event: events.RewardCalled) -> None:
        self._metrics.reward_calls.labels(outcome(event.failed)).observe(event.duration)
        self._series.score.observe(event.duration)

    def _finished(self, event: events.SearchFinished) -> None:
        self._series.ended[event.stop_reason].inc()
        self._series.duration.observe(event.seconds)

    # Of the class and not of each observer: bound methods that an observer kept of itself would leave it, and all that
    # its search had told, to the garbage collector.
    _HANDLERS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        events.NodeAdded: _node,
        events.PathScored: _scored,
        events.Selected: _selected,
        events.BackedUp: _backed_up,
        events.AnswerFound: _candidate,
        events.AnswerText: _text,
        events.SimulationDone: _simulated,
        events.Collision: _collided,
        events.EngineCalled: _engine_called,
        events.RewardCalled: _reward_called,
        events.SearchFinished: _finished,
    }


def outcome(failed: str | None) -> str:
    """How a call ended, from the class of what it raised."""
    if failed is None:
        return "ok"
    return "cancelled" if failed in NOT_NEEDED else "failed"


def margin(tallies: tuple[Tally, ...]) -> float:
    """The heaviest tally's lead over the next, as a share of all weight; 1 where there is one, 0 where none weighs."""
    total = sum(tally.weight for tally in tallies)
    if len(tallies) == 1:
        return 1.0
    return (tallies[0].weight - tallies[1].weight) / total if total else 0.0
