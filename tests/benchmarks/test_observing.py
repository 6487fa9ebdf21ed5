"""The benchmark of watching: its bare arm really counts nothing, its watched arm really counts and sends."""

from __future__ import annotations

from benchmarks.observing.arms import CHATS, Nothing, both
from server.metrics import Metrics
from server.settings import Settings


def test_nothing_is_whatever_is_asked() -> None:
    """It stands for every metric, label and observer."""
    nothing = Nothing()
    assert nothing.observer("uct", None).answered(1, 2) is nothing
    assert nothing.request_duration.labels("a", "b").observe(1.0) is nothing


async def test_only_the_watched_arm_is_watched() -> None:
    """Both answer; one has metrics and spans."""
    async with both(Settings(engine="scripted")) as arms:
        for arm in ("bare", "watched"):
            search = {"strategy": "majority", "samples": 2}
            assert (await arms.round(arm, [1], 1, search)).tokens > 0  # type: ignore[arg-type]
        runtimes = {
            arm: client._transport.app.state.runtime  # type: ignore[attr-defined]
            for arm, client in arms.clients.items()
        }
        assert isinstance(runtimes["bare"].metrics, Nothing)
        assert runtimes["bare"].tracing is None
        metrics = runtimes["watched"].metrics
        assert isinstance(metrics, Metrics)
        count = {"route": CHATS, "status": "200"}
        assert metrics.registry.get_sample_value("mcts_request_duration_seconds_count", count) == 1
        assert runtimes["watched"].tracing is not None
