"""The alerts. Each has a runbook of its name in docs/runbooks/, and tests: firing, silent, its series absent.

Ratios are those of recording rules, which give nothing where there is no traffic; a floor keeps a single failure of a
quiet hour from waking anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from k8s.monitoring.objectives import AVAILABILITY, SLOW_SECONDS, WITHIN

Severity = Literal["critical", "warning"]

BUSY = "sum by (job) (rate(mcts_queue_duration_seconds_count[30m])) > 0.01"
"""More than 18 searches within half an hour."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Args:
        name: Of the alert and of its runbook.
        severity: ``critical`` wakes somebody, ``warning`` waits for the morning.
        expression: Gives a series for each thing that is wrong.
        signals: What it compares, without the comparison: each gives a series on a server that is well.
        summary: One line; may use what Prometheus knows of the series.
        hold: How long it must be wrong.
    """

    name: str
    severity: Severity
    expression: str
    signals: tuple[str, ...]
    summary: str
    hold: str = "5m"


def _burns(errors: str, budget: float, factor: float, long: str, short: str) -> str:
    """Both windows spend the budget of 30 days ``factor`` times too fast: the short one tells that it goes on."""
    most = f"{factor * budget:.4g}"
    return f"({errors}{long} > {most} and {errors}{short} > {most})"


def _budget(name: str, what: str, errors: str, budget: float) -> list[Alert]:
    fast = f"{_burns(errors, budget, 14.4, '1h', '5m')} or {_burns(errors, budget, 6, '6h', '30m')}"
    slow = f"{_burns(errors, budget, 3, '1d', '2h')} or {_burns(errors, budget, 1, '3d', '6h')}"
    share = "{{ $value | humanizePercentage }}"
    return [
        Alert(
            f"{name}BudgetBurnsFast",
            "critical",
            fast,
            tuple(f"{errors}{w}" for w in ("5m", "30m", "1h", "6h")),
            f"{share} of the requests of {{{{ $labels.job }}}} {what}; the month's budget lasts five days at most.",
            "2m",
        ),
        Alert(
            f"{name}BudgetBurnsSlowly",
            "warning",
            slow,
            tuple(f"{errors}{w}" for w in ("2h", "6h", "1d", "3d")),
            f"{share} of the requests of {{{{ $labels.job }}}} {what}; the month's budget will not last.",
            "15m",
        ),
    ]


OBJECTIVES = [
    *_budget("EspalierAvailability", "fail", "job:mcts_request_errors:ratio_rate", 1 - AVAILABILITY),
    *_budget("EspalierLatency", f"take more than {SLOW_SECONDS} s", "job:mcts_slow_requests:ratio_rate", 1 - WITHIN),
]

SERVERS = [
    Alert("EspalierAbsent", "critical", "absent(mcts_ready)", ("mcts_ready",), "No server is scraped.", "5m"),
    Alert(
        "EspalierServerDown",
        "warning",
        "up == 0 and on (job, instance) last_over_time(mcts_ready[1d])",
        ("up and on (job, instance) mcts_ready",),
        "{{ $labels.instance }} does not answer the scraper.",
    ),
    Alert(
        "EspalierNoneReady",
        "critical",
        "sum by (job) (mcts_ready) == 0",
        ("sum by (job) (mcts_ready)",),
        "No server of {{ $labels.job }} answers chats.",
        "2m",
    ),
    Alert(
        "EspalierServerNotReady",
        "warning",
        "mcts_ready == 0",
        ("mcts_ready",),
        "{{ $labels.instance }} has answered no chats for a quarter of an hour.",
        "15m",
    ),
    Alert(
        "EspalierRestarts",
        "warning",
        "changes(process_start_time_seconds[1h]) > 3 and on (job, instance) mcts_ready",
        ("changes(process_start_time_seconds[1h]) and on (job, instance) mcts_ready",),
        "{{ $labels.instance }} was started {{ $value }} times within an hour.",
        "0m",
    ),
    Alert(
        "EspalierEventLoopLags",
        "warning",
        "histogram_quantile(0.99, sum by (job, instance, le) (rate(mcts_event_loop_lag_seconds_bucket[5m]))) > 0.5",
        ("histogram_quantile(0.99, sum by (job, instance, le) (rate(mcts_event_loop_lag_seconds_bucket[5m])))",),
        "The event loop of {{ $labels.instance }} is {{ $value | humanizeDuration }} late.",
    ),
    Alert(
        "EspalierTasksPileUp",
        "warning",
        "mcts_event_loop_tasks > 300 + 300 * (mcts_searches_running + mcts_searches_waiting)",
        ("mcts_event_loop_tasks", "mcts_searches_running + mcts_searches_waiting"),
        "{{ $labels.instance }} has {{ $value }} tasks, far more than its searches need.",
        "15m",
    ),
    Alert(
        "EspalierInternalErrors",
        "warning",
        'increase(mcts_failures_total{cause="internal"}[1h]) > 0',
        ('increase(mcts_failures_total{cause="internal"}[1h])',),
        "{{ $labels.instance }} met something that nobody foresaw.",
        "0m",
    ),
]

LOAD = [
    Alert(
        "EspalierQueueSaturated",
        "warning",
        "job:mcts_queue:used > 0.8",
        ("job:mcts_queue:used",),
        "The queue of {{ $labels.job }} is {{ $value | humanizePercentage }} full.",
    ),
    Alert(
        "EspalierTurnsSearchesAway",
        "critical",
        "job:mcts_turned_away:ratio_rate5m > 0.05",
        ("job:mcts_turned_away:ratio_rate5m",),
        "{{ $labels.job }} turns {{ $value | humanizePercentage }} of the searches away.",
    ),
    Alert(
        "EspalierDeadlinesCutSearches",
        "warning",
        'sum by (job) (rate(mcts_searches_total{stop_reason="deadline"}[30m])) '
        f"/ (sum by (job) (rate(mcts_searches_total[30m])) > 0) > 0.5 and on (job) {BUSY}",
        (
            'sum by (job) (rate(mcts_searches_total{stop_reason="deadline"}[30m]))',
            "sum by (job) (rate(mcts_searches_total[30m]))",
        ),
        "{{ $value | humanizePercentage }} of the searches of {{ $labels.job }} are cut by their deadlines.",
        "30m",
    ),
]

ENGINES = [
    Alert(
        "EspalierEngineDied",
        "warning",
        "increase(mcts_engine_deaths_total[15m]) > 0",
        ("increase(mcts_engine_deaths_total[15m])",),
        "An engine of {{ $labels.instance }} died.",
        "0m",
    ),
    Alert(
        "EspalierEngineKeepsDying",
        "critical",
        "increase(mcts_engine_deaths_total[30m]) > 2",
        ("increase(mcts_engine_deaths_total[30m])",),
        "Engines of {{ $labels.instance }} died {{ $value }} times within half an hour.",
        "0m",
    ),
    Alert(
        "EspalierEngineCallsFail",
        "warning",
        "job:mcts_engine_call_failures:ratio_rate5m > 0.05",
        ("job:mcts_engine_call_failures:ratio_rate5m",),
        "{{ $value | humanizePercentage }} of the engine calls of {{ $labels.job }} fail.",
    ),
    Alert(
        "EspalierRewardCallsFail",
        "warning",
        "job:mcts_reward_call_failures:ratio_rate5m > 0.05",
        ("job:mcts_reward_call_failures:ratio_rate5m",),
        "{{ $value | humanizePercentage }} of the reward calls of {{ $labels.job }} fail.",
    ),
    Alert(
        "EspalierCacheMisses",
        "warning",
        f"job:mcts_cache_hits:ratio_rate30m < 0.3 and on (job) {BUSY}",
        ("job:mcts_cache_hits:ratio_rate30m",),
        "Only {{ $value | humanizePercentage }} of what {{ $labels.job }} reads comes from the prefix cache.",
        "30m",
    ),
    Alert(
        "EspalierCacheFull",
        "warning",
        "vllm:kv_cache_usage_perc > 0.95",
        ("vllm:kv_cache_usage_perc",),
        "The cache of {{ $labels.model_name }} on {{ $labels.instance }} is full.",
        "10m",
    ),
    Alert(
        "EspalierPreemptions",
        "warning",
        "rate(vllm:num_preemptions_total[5m]) > 1",
        ("rate(vllm:num_preemptions_total[5m])",),
        "{{ $labels.model_name }} on {{ $labels.instance }} drops {{ $value }} sequences a second for want of room.",
        "10m",
    ),
]

ALERTS = {"objectives": OBJECTIVES, "servers": SERVERS, "load": LOAD, "engines": ENGINES}
"""By group."""
