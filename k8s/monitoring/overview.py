"""The dashboard of the service: who asks, how long it takes, what fails, how full it is."""

from __future__ import annotations

from k8s.monitoring.boards import Board, Panel
from k8s.monitoring.objectives import ANSWERED, AVAILABILITY, SEARCHING, SLOW_SECONDS, WITHIN
from k8s.monitoring.queries import SERVERS, chosen, quantile, rate, ratio, total

REQUESTS = "mcts_request_duration_seconds"
JOBS = 'job=~"$job"'


def _quantiles(histogram: str, by: str = "", labels: str = "") -> dict[str, str]:
    return {f"p{100 * share:g}": quantile(share, histogram, by, labels) for share in (0.5, 0.95, 0.99)}


NOW = [
    Panel("Ready servers", {"ready": total("mcts_ready")}, look="stat", width=3),
    Panel("Running searches", {"running": total("mcts_searches_running")}, look="stat", width=3),
    Panel("Waiting searches", {"waiting": total("mcts_searches_waiting")}, look="stat", width=3),
    Panel("Requests", {"requests": rate(f"{REQUESTS}_count", labels=SEARCHING)}, "reqps", "stat", 3),
    Panel(
        "Failed",
        {
            "5xx": ratio(
                rate(f"{REQUESTS}_count", labels=f'{SEARCHING},status=~"5.."'),
                rate(f"{REQUESTS}_count", labels=SEARCHING),
            )
        },
        "percentunit",
        "stat",
        3,
    ),
    Panel("Answered, p95", {"p95": quantile(0.95, REQUESTS, labels=ANSWERED)}, "s", "stat", 3),
    Panel("Generated tokens", {"tokens": rate("mcts_generated_tokens_total")}, "short", "stat", 3, "Per second."),
    Panel(
        "Engine deaths",
        {"deaths": f"sum(increase({chosen('mcts_engine_deaths_total')}[1d]))"},
        "short",
        "stat",
        3,
        "Within a day.",
    ),
]

TRAFFIC = [
    Panel("Requests by status", {"{{status}}": rate(f"{REQUESTS}_count", "status", SEARCHING)}, "reqps", stacked=True),
    Panel("Duration of answered requests", _quantiles(REQUESTS, labels=ANSWERED), "s"),
    Panel("All routes", {"{{route}}": rate(f"{REQUESTS}_count", "route")}, "reqps"),
    Panel(
        "Places",
        {
            "running": total("mcts_searches_running"),
            "places": total("mcts_search_places"),
            "waiting": total("mcts_searches_waiting"),
            "queue": total("mcts_queue_places"),
        },
    ),
    Panel("Wait for a place", _quantiles("mcts_queue_duration_seconds"), "s"),
    Panel("Turned away", {"{{reason}}": rate("mcts_searches_turned_away_total", "reason")}, "reqps", stacked=True),
]

SEARCHES = [
    Panel("Searches by strategy", {"{{strategy}}": rate("mcts_searches_total", "strategy")}, "ops", stacked=True),
    Panel(
        "Duration by strategy, p95", {"{{strategy}}": quantile(0.95, "mcts_search_duration_seconds", "strategy")}, "s"
    ),
    Panel(
        "Time to first ..., p95",
        {
            "progress": quantile(0.95, "mcts_time_to_first_progress_seconds"),
            "candidate": quantile(0.95, "mcts_time_to_first_answer_seconds"),
            "token of the answer": quantile(0.95, "mcts_time_to_first_answer_token_seconds"),
        },
        "s",
    ),
    Panel(
        "Generated tokens by use",
        {"{{use}}": rate("mcts_generated_tokens_total", "use")},
        stacked=True,
        note="Per second.",
    ),
    Panel("Tokens of prompts", {"prompts": rate("mcts_prompt_tokens_total")}, note="Per second, once per search."),
    Panel(
        "Failures by cause",
        {"{{cause}}": f"{rate('mcts_failures_total', 'cause')} > 0 or {rate('mcts_failures_total')}"},
        "ops",
    ),
]

OBJECTIVES = [
    Panel(
        f"Failed requests (objective: under {1 - AVAILABILITY:.1%})",
        {
            f"{{{{job}}}}, {window}": f"job:mcts_request_errors:ratio_rate{window}{{{JOBS}}}"
            for window in ("1h", "6h", "3d")
        },
        "percentunit",
        width=12,
    ),
    Panel(
        f"Answers slower than {SLOW_SECONDS} s (objective: under {1 - WITHIN:.1%})",
        {
            f"{{{{job}}}}, {window}": f"job:mcts_slow_requests:ratio_rate{window}{{{JOBS}}}"
            for window in ("1h", "6h", "3d")
        },
        "percentunit",
        width=12,
    ),
]

SERVER = [
    Panel("State", {"{{instance}} {{state}}": f"{chosen('mcts_server_state')} == 1"}, look="stat", width=6),
    Panel(
        "Event loop lag",
        _quantiles("mcts_event_loop_lag_seconds"),
        "s",
        width=6,
        note="Everything that clients wait for passes through it.",
    ),
    Panel("Tasks of the event loop", {"{{instance}}": chosen("mcts_event_loop_tasks")}, width=6),
    Panel(
        "Memory of the server",
        {"{{instance}}": chosen("process_resident_memory_bytes")},
        "bytes",
        width=6,
        note="Without its engines' processes.",
    ),
    Panel(
        "Processor time of the server",
        {"{{instance}}": f"rate({chosen('process_cpu_seconds_total')}[$__rate_interval])"},
        "percentunit",
        width=6,
        note="1 is one core; without its engines' processes.",
    ),
    Panel(
        "Open files",
        {"{{instance}}": chosen("process_open_fds"), "{{instance}}, most": chosen("process_max_fds")},
        width=6,
    ),
    Panel("Traces in memory", {"traces": total("mcts_traces_kept")}, width=6),
    Panel("Memory of traces", {"bytes": total("mcts_traces_bytes")}, "bytes", width=6),
    Panel(
        "Traces lost",
        {"{{reason}}": rate("mcts_traces_dropped_total", "reason")},
        "short",
        width=6,
        note="Per second, wholly or to their folder.",
    ),
    Panel(
        "Versions",
        {"{{version}} on {{engine}}": f"count by (version, engine) (mcts_build_info{{{SERVERS}}})"},
        look="stat",
        width=6,
    ),
    Panel("Up for", {"{{instance}}": f"time() - {chosen('process_start_time_seconds', '')}"}, "s", "stat", 6),
]

OVERVIEW = Board(
    "espalier-overview",
    "Espalier: service",
    "Requests, searches, objectives and the server itself.",
    {"Now": NOW, "Requests": TRAFFIC, "Searches": SEARCHES, "Objectives": OBJECTIVES, "Server": SERVER},
)
