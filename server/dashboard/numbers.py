"""The live numbers of the dashboard: a few metrics of the server's own registry, and of vLLM's, as JSON.

The page keeps what it has seen and works rates and percentiles out of it; here nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

OURS = (
    "mcts_searches_running",
    "mcts_searches_waiting",
    "mcts_searches_total",
    "mcts_searches_turned_away_total",
    "mcts_failures_total",
    "mcts_search_duration_seconds_bucket",
    "mcts_time_to_first_answer_seconds_bucket",
    "mcts_queue_duration_seconds_bucket",
    "mcts_generated_tokens_total",
    "mcts_prefix_tokens_total",
    "mcts_cached_tokens_total",
    "mcts_reward_value_bucket",
    "mcts_engine_calls_in_flight",
    "mcts_engine_calls_waiting",
)
"""Samples of ours that the page reads."""

VLLM = ("vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total", "vllm:kv_cache_usage_perc")
"""Samples of vLLM's, there only where vLLM runs in this process."""


def numbers(registries: Iterable[CollectorRegistry], now: float, names: Sequence[str] = OURS + VLLM) -> dict[str, Any]:
    """What the page reads.

    Args:
        registries: Where the metrics live.
        now: Unix time in seconds.
        names: Of the samples.

    Returns:
        ``time``, and ``samples``: by name, pairs of labels and value. Labelled samples that are 0 are left out,
        buckets never: where one begins is where another ends.
    """
    told: dict[str, list[tuple[dict[str, str], float]]] = {}
    for registry in registries:
        for metric in registry.restricted_registry(names).collect():
            for sample in metric.samples:
                if sample.value or not sample.labels or "le" in sample.labels:
                    told.setdefault(sample.name, []).append((sample.labels, sample.value))
    return {"time": round(now, 3), "samples": told}
