"""What is counted, under which labels, and how it is told."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward
from mcts.budget import StopReason
from mcts.errors import EngineCallFailed, RewardCallFailed
from mcts.ports import Path, PathScore
from mcts.result import Tally
from mcts.strategies import STRATEGIES
from server.engine_statistics import EngineStatistics
from server.exposition import JoinedRegistries, exposed
from server.loop_watch import LOOK_SECONDS, loop_watched
from server.metric_observer import margin, outcome
from server.metrics import CAUSES, LIFE, SECONDS, Metrics
from server.runtime import Phase
from tests.server.process import espalier
from tests.server.service import Service, backend, serving

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
"""What Prometheus 2.42 asks for."""


def value(service: Service, name: str, **labels: str) -> float | None:
    """One value of a running server."""
    return service.runtime.metrics.registry.get_sample_value(name, labels)


def total(service: Service, name: str) -> float:
    """The sum over all series of a sample."""
    families = service.runtime.metrics.registry.collect()
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def test_every_counter_and_gauge_has_its_series_before_the_first_event() -> None:
    """Whatever the labels: a rate sees the first event."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    sizes = {
        family.name: sum(not sample.name.endswith("_created") for sample in family.samples)
        for family in registry.collect()
    }
    for metric in metrics.declared[1:]:
        expected = 1
        for values in metric.labels.values():
            expected *= len(values)
        if metric.kind != "histogram":
            assert sizes[metric.name.removesuffix("_total")] == expected, metric.name
        elif metric.zeroed:
            assert sizes[metric.name] > 0, metric.name
    searches = {"strategy": "uct", "stop_reason": "deadline"}
    assert registry.get_sample_value("mcts_searches_total", searches) == 0
    assert len(CAUSES) == len(set(CAUSES))


def test_states_and_strategies_are_those_there_are() -> None:
    """Labels that are written down here follow what they stand for."""
    assert set(LIFE) == {phase.value for phase in Phase}
    declared = {metric.name: metric.labels for metric in Metrics(CollectorRegistry()).declared}
    assert set(declared["mcts_searches_total"]["strategy"]) == set(STRATEGIES)
    assert set(declared["mcts_searches_total"]["stop_reason"]) == {reason.value for reason in StopReason}
    assert SECONDS[-1] == 1800


async def test_a_tree_is_counted_by_phase_and_by_shape(service: Service) -> None:
    """Each simulation is selected once and calls the engine; nodes, branching, values and the vote follow its end."""
    await service.answer(search={"strategy": "uct", "reward": "prm", "budget": {"simulations": 4}, "width": 1})
    uct = {"strategy": "uct"}
    phases = {
        phase: value(service, "mcts_phase_duration_seconds_count", phase=phase)
        for phase in ("select", "generate", "score", "back_up")
    }
    assert phases["select"] == value(service, "mcts_simulations_total", **uct) == 4
    assert phases["generate"] == value(service, "mcts_engine_call_duration_seconds_count", outcome="ok")
    assert phases["score"] == value(service, "mcts_reward_call_duration_seconds_count", outcome="ok")
    assert (phases["back_up"] or 0) >= 4
    for name in ("tree_nodes", "tree_depth", "tree_branching", "root_value", "answer_value", "vote_margin"):
        assert value(service, f"mcts_{name}_count", **uct) == 1, name
    assert value(service, "mcts_answer_value_sum", **uct) == 0.5  # what the process reward of these tests always gives
    assert value(service, "mcts_root_value_sum", **uct) == 0.5
    assert value(service, "mcts_time_to_first_answer_token_seconds_count", **uct) == 1
    assert (value(service, "mcts_prefix_tokens_total") or 0) > 0


async def test_no_more_is_cached_than_is_read(service: Service) -> None:
    """The share of prefixes that came from the cache is at most 1, whatever the strategy and however it is streamed."""
    for preset in ("uct", "majority", "direct"):
        await service.answer(model=f"abacus:{preset}")
    await service.stream(model="abacus:direct")
    cached, read = value(service, "mcts_cached_tokens_total"), value(service, "mcts_prefix_tokens_total")
    assert cached is not None
    assert read is not None
    assert 0 <= cached <= read


class BrokenReward(ScriptedReward):
    """A reward model whose every call fails."""

    async def score(self, paths: Sequence[Path]) -> list[PathScore]:
        """Fails."""
        raise RewardCallFailed(f"no scores for {len(paths)} paths")


async def test_a_search_that_fails_leaves_its_cause_and_its_tokens() -> None:
    """The tokens that it had generated are lost, and nothing else grows by them."""
    async with serving(made=backend(ScriptedEngine(), BrokenReward())) as service:
        await service.refusal(503, search={"strategy": "best_of_n", "reward": "prm"})
        assert value(service, "mcts_failures_total", cause="RewardCallFailed") == 1
        assert (value(service, "mcts_generated_tokens_total", strategy="best_of_n", use="lost") or 0) > 0
        assert total(service, "mcts_generated_tokens_total") == value(
            service, "mcts_generated_tokens_total", strategy="best_of_n", use="lost"
        )
        assert (value(service, "mcts_reward_call_duration_seconds_count", outcome="failed") or 0) > 0


async def test_a_stream_that_fails_after_its_first_byte_counts_as_a_failure() -> None:
    """The reply began with 200, but an objective on statuses must see what became of it."""
    async with serving(ScriptedEngine(failure=lambda _, __: EngineCallFailed("no"))) as service:
        reply = await service.ask(model="abacus:majority", stream=True)
        assert reply.status_code == 200
        counted = {"route": "/v1/chat/completions", "status": "503"}
        assert value(service, "mcts_request_duration_seconds_count", **counted) == 1
        assert value(service, "mcts_request_duration_seconds_count", **{**counted, "status": "200"}) == 0


@pytest.mark.parametrize(
    ("failed", "expected"),
    [(None, "ok"), ("CancelledError", "cancelled"), ("OutOfTokens", "cancelled"), ("EngineCallFailed", "failed")],
)
def test_what_was_no_longer_needed_is_no_failure(failed: str | None, expected: str) -> None:
    """A deadline cancels calls; the budget may have no room for a verdict."""
    assert outcome(failed) == expected


@pytest.mark.parametrize(
    ("weights", "expected"), [((2.0,), 1.0), ((3.0, 1.0), 0.5), ((1.0, 1.0), 0.0), ((0.0, 0.0), 0.0)]
)
def test_the_margin_of_a_vote(weights: tuple[float, ...], expected: float) -> None:
    """The lead over the runner-up, as a share of all weight: (3 - 1) / (3 + 1) is a half."""
    assert margin(tuple(Tally(str(i), weight, 1) for i, weight in enumerate(weights))) == expected


async def test_the_state_and_the_places_are_told(service: Service) -> None:
    """Exactly one state holds; draining shows at once; the limits stand beside what they limit."""
    assert value(service, "mcts_server_state", state="ready") == total(service, "mcts_server_state") == 1
    service.runtime.drain()
    assert value(service, "mcts_server_state", state="draining") == total(service, "mcts_server_state") == 1
    assert value(service, "mcts_search_places") == service.runtime.settings.max_searches
    assert value(service, "mcts_queue_places") == service.runtime.settings.max_queue


async def test_rewards_that_are_loaded_have_their_series(service: Service) -> None:
    """Before the first search by them."""
    for reward in service.runtime.backend.rewards:
        assert value(service, "mcts_reward_value_count", reward=reward) == 0


async def test_failovers_are_those_of_the_fleets() -> None:
    """Each scrape brings the counter up to what the engines say; it never falls."""
    made = dataclasses.replace(backend(ScriptedEngine()), failovers=iter((2, 5, 1)).__next__)
    async with serving(made=made) as service:
        seen = []
        for _ in range(3):
            await service.client.get("/metrics")
            seen.append(value(service, "mcts_failovers_total"))
        assert seen == [2, 5, 5]


async def test_a_stalled_event_loop_shows() -> None:
    """A turn that takes 0.4 s makes the loop late by at least 0.1 s, since it is looked at every 0.25 s."""
    metrics = Metrics(CollectorRegistry())
    async with loop_watched(metrics):
        await asyncio.sleep(0)
        await asyncio.to_thread(lambda: None)
        time.sleep(LOOK_SECONDS + 0.15)  # noqa: ASYNC251 - the stall
        await asyncio.sleep(0.01)
    assert (metrics.registry.get_sample_value("mcts_event_loop_lag_seconds_sum") or 0) >= 0.1


def odd_registry() -> CollectorRegistry:
    """One metric of each kind, with all that needs escaping."""
    registry = CollectorRegistry()
    Counter("a", 'Says "no"\\ and\nmore.', ["who"], registry=registry).labels('b"\\\nc').inc(1_234_567)
    Gauge("b", "A gauge.", ["x", "a"], registry=registry, unit="bytes").labels("1", "2").set(float("nan"))
    Histogram("c", "A histogram.", registry=registry, buckets=(1e-7, 0.5, 1e9)).observe(0.1)
    Counter("d", "With an exemplar.", registry=registry).inc(2, {"trace": "1"})
    Enum("e", "A state set.", states=["on", "off"], registry=registry)
    return registry


@pytest.mark.parametrize("accept", ["", PROMETHEUS, "application/openmetrics-text;version=0.0.1"])
def test_the_text_is_the_librarys(accept: str) -> None:
    """Byte for byte, in the plain format and in OpenMetrics, the second time as the first."""
    registry = odd_registry()
    Metrics(registry).observer("uct", "prm")
    encode, content_type = choose_encoder(accept)
    for _ in range(2):
        assert exposed([registry], accept) == (encode(registry), content_type)


async def test_prometheus_gets_openmetrics(service: Service) -> None:
    """What it asks for, which parses; a browser gets plain text."""
    reply = await service.client.get("/metrics", headers={"accept": PROMETHEUS})
    assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert "mcts_ready" in {family.name for family in text_string_to_metric_families(reply.text)}
    assert (await service.client.get("/metrics")).headers["content-type"].startswith("text/plain")


def test_metrics_of_several_engines_stand_under_one_name() -> None:
    """Each engine's registry has the same names; a scrape has each name once, and an engine's restart no ghost."""
    statistics = EngineStatistics()
    for engine in ("writer", "scorer", "writer"):
        registry = statistics.of(engine)()
        Counter("vllm:things", "Things.", ["model_name"], registry=registry).labels(engine).inc()
    families = list(JoinedRegistries(statistics.registries).collect())
    assert [family.name for family in families] == ["vllm:things"]
    counted = [sample.labels["model_name"] for sample in families[0].samples if sample.name.endswith("_total")]
    assert sorted(counted) == ["scorer", "writer"]


def test_the_folder_of_several_processes_is_refused() -> None:
    """One process: numbers that others left in a folder would come up as ours."""
    done = espalier("serve", "--engine", "scripted", "--port", "0", PROMETHEUS_MULTIPROC_DIR="/tmp")
    assert done.returncode == 2
    assert "one process" in done.stderr
