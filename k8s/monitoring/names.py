"""Which metrics an expression asks for, and whether there are such."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from server.metrics import declared_metrics

_METRIC = re.compile(r"\b(?:mcts_\w+|vllm:\w+|process_\w+|job:[\w:]+)|\bup\b(?=[\s{)])")
_SUFFIX = re.compile(r"_(?:bucket|count|sum)$")
_QUOTED = re.compile(r'"[^"]*"')

OTHERS = frozenset(
    {
        "up",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_start_time_seconds",
        "process_open_fds",
        "process_max_fds",
    }
)
"""Prometheus' own, and those of the Python process."""

VLLM = frozenset(
    {
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:kv_cache_usage_perc",
        "vllm:num_preemptions_total",
        "vllm:generation_tokens_total",
        "vllm:prompt_tokens_total",
        "vllm:prefix_cache_hits_total",
        "vllm:prefix_cache_queries_total",
        "vllm:request_success_total",
        "vllm:time_to_first_token_seconds",
        "vllm:inter_token_latency_seconds",
        "vllm:request_queue_time_seconds",
        "vllm:iteration_tokens_total",
    }
)
"""Those of vLLM's that are asked for. A test sees each of them in a scrape of the real engine."""


def metrics_in(expression: str) -> list[str]:
    """The names of the metrics that an expression asks for, in order, each once."""
    return list(dict.fromkeys(_METRIC.findall(_QUOTED.sub('""', expression))))


def unknown(expressions: Iterable[str], recorded: Iterable[str]) -> set[str]:
    """The metrics that are asked for and that nothing gives.

    Args:
        expressions: What is asked.
        recorded: Names of recording rules.
    """
    kinds = {metric.name: metric.kind for metric in declared_metrics()}
    known = {*kinds, *recorded, *OTHERS, *VLLM}
    names = {name for expression in expressions for name in metrics_in(expression)}
    return {name for name in names if name not in known and not _is_part(name, kinds)}


def _is_part(name: str, kinds: Mapping[str, str]) -> bool:
    """Whether a name is that of a histogram's buckets, count or sum."""
    whole = _SUFFIX.sub("", name)
    return whole != name and (kinds.get(whole) == "histogram" or whole in VLLM)
