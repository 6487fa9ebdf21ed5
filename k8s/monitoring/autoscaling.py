"""What an autoscaler may ask Prometheus, with the value at which another server is due."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scaling:
    """One query. ``threshold`` is what one server should bear: an autoscaler divides the value by it."""

    name: str
    query: str
    threshold: str
    why: str


SCALINGS = [
    Scaling(
        "searches",
        "sum(mcts_searches_running) + sum(mcts_searches_waiting)",
        "48",
        "Searches that run and wait. 48 is three quarters of the default max_searches of a server.",
    ),
    Scaling("waiting", "sum(mcts_searches_waiting)", "5", "Searches that wait for a place: late, but never wrong."),
    Scaling(
        "places",
        "sum(mcts_searches_running) / (sum(mcts_search_places) > 0)",
        "0.75",
        "Share of all places taken; whatever max_searches is.",
    ),
    Scaling(
        "cache",
        "max(vllm:kv_cache_usage_perc)",
        "0.6",
        "The fullest cache. For engines with long prompts, which fill it before places run out.",
    ),
]
