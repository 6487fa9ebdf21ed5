"""Ports that know how many of their calls are open."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager

from prometheus_client import Gauge

from mcts.ports import Continuation, Engine, Path, PathScore, RewardModel, SampleRequest
from mcts.reward_ports import AnyReward, Sampler, WritingReward
from server.gate import Gate
from server.metrics import Metrics


class CountedEngine:
    """An engine that knows how many of its calls are open, and lets no more be.

    Args:
        engine: The engine itself.
        metrics: Where its calls are counted.
        most: Calls open at once; None is no limit.
    """

    def __init__(self, engine: Engine, metrics: Metrics, most: int | None = None) -> None:
        self._engine, self._gauge, self._gate = engine, metrics.engine_in_flight, Gate(most)
        metrics.engine_waiting.set_function(lambda: self._gate.waiting)

    async def sample(self, request: SampleRequest) -> Sequence[Continuation]:
        """As the engine's own."""
        async with self._gate.passed(request.search_id):
            with _open(self._gauge):
                return await self._engine.sample(request)

    async def stream(self, request: SampleRequest) -> AsyncIterator[Continuation]:
        """As the engine's own. Closing it closes the engine's."""
        async with self._gate.passed(request.search_id), aclosing(self._pieces(request)) as pieces:
            async for piece in pieces:
                yield piece

    async def _pieces(self, request: SampleRequest) -> AsyncGenerator[Continuation]:
        with _open(self._gauge):
            pieces = self._engine.stream(request)
            try:
                async for piece in pieces:
                    yield piece
            finally:
                if close := getattr(pieces, "aclose", None):
                    await close()


class CountedReward:
    """A reward model that knows how many of its calls are open."""

    def __init__(self, reward: RewardModel, metrics: Metrics) -> None:
        self._reward, self._gauge = reward, metrics.reward_in_flight

    @property
    def top_logprobs(self) -> int:
        """As the reward model's own."""
        return self._reward.top_logprobs

    async def score(self, paths: Sequence[Path]) -> Sequence[PathScore]:
        """As the reward model's own."""
        with _open(self._gauge):
            return await self._reward.score(paths)


class CountedJudge:
    """A reward that writes and knows how many of its calls are open."""

    def __init__(self, reward: WritingReward, metrics: Metrics) -> None:
        self._reward, self._gauge = reward, metrics.reward_in_flight

    @property
    def top_logprobs(self) -> int:
        """As the reward's own."""
        return self._reward.top_logprobs

    @property
    def tokens_per_path(self) -> int:
        """As the reward's own."""
        return self._reward.tokens_per_path

    async def judge(self, paths: Sequence[Path], sampler: Sampler) -> Sequence[PathScore]:
        """As the reward's own."""
        with _open(self._gauge):
            return await self._reward.judge(paths, sampler)


def counted_reward(reward: AnyReward, metrics: Metrics) -> AnyReward:
    """A reward of either kind that knows how many of its calls are open."""
    return CountedJudge(reward, metrics) if isinstance(reward, WritingReward) else CountedReward(reward, metrics)


@contextmanager
def _open(gauge: Gauge) -> Iterator[None]:
    gauge.inc()
    try:
        yield
    finally:
        gauge.dec()
