"""The live numbers of the dashboard: a few metrics of the server's own registry, as JSON.

The page keeps what it has seen and works rates and percentiles out of it; here nothing is remembered.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

SAMPLES = (
    "mcts_searches_running",
    "mcts_searches_waiting",
    "mcts_searches_total",
    "mcts_searches_turned_away_total",
    "mcts_failures_total",
    "mcts_search_duration_seconds_bucket",
    "mcts_time_to_first_answer_seconds_bucket",
    "mcts_generated_tokens_total",
    "mcts_prefix_tokens_total",
    "mcts_cached_tokens_total",
    "mcts_reward_value_bucket",
)
"""What the page reads."""


def numbers(registry: CollectorRegistry, now: float) -> dict[str, Any]:
    """What the page reads.

    Args:
        registry: Where the metrics live.
        now: Unix time in seconds.

    Returns:
        ``time``, and ``samples``: by name, pairs of labels and value. Labelled samples that are 0 are left out,
        buckets never: where one begins is where another ends.
    """
    told: dict[str, list[tuple[dict[str, str], float]]] = {}
    for metric in registry.restricted_registry(SAMPLES).collect():
        for sample in metric.samples:
            if sample.value or not sample.labels or "le" in sample.labels:
                told.setdefault(sample.name, []).append((sample.labels, sample.value))
    return {"time": round(now, 3), "samples": told}
