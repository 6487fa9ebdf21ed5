"""The dashboard of engines and rewards: calls as searches make them, and what vLLM says of itself."""

from __future__ import annotations

from k8s.monitoring.boards import Board, Panel
from k8s.monitoring.queries import chosen, quantile, rate, ratio, total

CALLS, SCORES = "mcts_engine_call_duration_seconds", "mcts_reward_call_duration_seconds"
MODEL = "model_name"

OURS = [
    Panel(
        "Open calls",
        {
            "engine": total("mcts_engine_calls_in_flight"),
            "waiting": total("mcts_engine_calls_waiting"),
            "reward": total("mcts_reward_calls_in_flight"),
        },
    ),
    Panel("Engine calls by outcome", {"{{outcome}}": rate(f"{CALLS}_count", "outcome")}, "ops", stacked=True),
    Panel(
        "Engine call duration",
        {f"p{100 * q:g}": quantile(q, CALLS, labels='outcome="ok"') for q in (0.5, 0.95, 0.99)},
        "s",
    ),
    Panel("Reward calls by outcome", {"{{outcome}}": rate(f"{SCORES}_count", "outcome")}, "ops", stacked=True),
    Panel(
        "Reward call duration",
        {f"p{100 * q:g}": quantile(q, SCORES, labels='outcome="ok"') for q in (0.5, 0.95, 0.99)},
        "s",
    ),
    Panel(
        "Where simulations spend their time",
        {"{{phase}}": rate("mcts_phase_duration_seconds_sum", "phase")},
        "s",
        note="Seconds per second, over all that run at once.",
    ),
    Panel(
        "Own work, p99",
        {"{{phase}}": quantile(0.99, "mcts_phase_duration_seconds", "phase", 'phase=~"select|back_up"')},
        "s",
    ),
    Panel(
        "Prefix tokens from the cache",
        {"share": ratio(rate("mcts_cached_tokens_total"), rate("mcts_prefix_tokens_total"))},
        "percentunit",
    ),
    Panel("Failovers", {"failovers": rate("mcts_failovers_total")}, "ops", note="Between engines of a fleet."),
    Panel(
        "Engine deaths", {"{{instance}}": f"increase({chosen('mcts_engine_deaths_total')}[1h])"}, note="Within an hour."
    ),
]

VLLM_OWN = [
    Panel(
        "Sequences running",
        {"{{model_name}}": total("vllm:num_requests_running", MODEL)},
        note="vLLM's requests are single continuations, not searches.",
    ),
    Panel("Sequences waiting", {"{{model_name}}": total("vllm:num_requests_waiting", MODEL)}),
    Panel("Cache in use", {"{{instance}} {{model_name}}": chosen("vllm:kv_cache_usage_perc")}, "percentunit"),
    Panel("Tokens generated", {"{{model_name}}": rate("vllm:generation_tokens_total", MODEL)}, note="Per second."),
    Panel(
        "Prompt tokens read",
        {"{{model_name}}": rate("vllm:prompt_tokens_total", MODEL)},
        note="Per second, those from the cache included.",
    ),
    Panel(
        "Prefix cache hits",
        {
            "{{model_name}}": ratio(
                rate("vllm:prefix_cache_hits_total", MODEL), rate("vllm:prefix_cache_queries_total", MODEL)
            )
        },
        "percentunit",
    ),
    Panel(
        "Time to first token",
        {
            f"p{100 * q:g} {{{{model_name}}}}": quantile(q, "vllm:time_to_first_token_seconds", MODEL)
            for q in (0.5, 0.95)
        },
        "s",
    ),
    Panel(
        "Time between tokens",
        {
            f"p{100 * q:g} {{{{model_name}}}}": quantile(q, "vllm:inter_token_latency_seconds", MODEL)
            for q in (0.5, 0.95)
        },
        "s",
    ),
    Panel(
        "Wait in vLLM's queue, p95", {"{{model_name}}": quantile(0.95, "vllm:request_queue_time_seconds", MODEL)}, "s"
    ),
    Panel("Tokens per step, median", {"{{model_name}}": quantile(0.5, "vllm:iteration_tokens_total", MODEL)}),
    Panel(
        "Preemptions",
        {"{{model_name}}": rate("vllm:num_preemptions_total", MODEL)},
        "ops",
        note="Sequences that lost their cache for want of room and must be read again.",
    ),
    Panel(
        "Ended sequences",
        {"{{finished_reason}}": rate("vllm:request_success_total", "finished_reason")},
        "ops",
        stacked=True,
    ),
]

ENGINES = Board(
    "espalier-engines",
    "Espalier: engines",
    "Calls to engines and rewards, and vLLM's own metrics.",
    {"As searches see them": OURS, "vLLM": VLLM_OWN},
)
