"""The dashboard of the search itself: how trees grow, what their nodes are worth, how sure the votes are."""

from __future__ import annotations

from k8s.monitoring.boards import Board, Panel
from k8s.monitoring.queries import mean, quantile, rate, ratio

ALL = "strategy"
DECIDED = "mcts_vote_margin"

ANSWERS = [
    Panel(
        "Value of answers",
        {"{{strategy}}": mean("mcts_answer_value", ALL)},
        "percentunit",
        note="Mean reward of what was answered.",
    ),
    Panel(
        "Value of whole trees",
        {"{{strategy}}": mean("mcts_root_value", ALL)},
        "percentunit",
        note="Mean reward of all visits: answers above it are what choosing brings.",
    ),
    Panel(
        "Margin of votes, median",
        {"{{strategy}}": quantile(0.5, DECIDED, ALL)},
        "percentunit",
        note="1 is unanimous, 0 a tie.",
    ),
    Panel(
        "Close votes",
        {"{{strategy}}": ratio(rate(f"{DECIDED}_bucket", ALL, 'le="0.1"'), rate(f"{DECIDED}_count", ALL))},
        "percentunit",
        note="Share of votes with a margin of 0.1 or less.",
    ),
    Panel(
        "Rewards",
        {"rewards": rate("mcts_reward_value_bucket", "le")},
        look="heatmap",
        note="Of finished paths, all rewards together.",
    ),
    Panel("Mean reward by kind", {"{{reward}}": mean("mcts_reward_value", "reward")}, "percentunit"),
]

ENDS = [
    Panel(
        "Why searches ended",
        {"{{stop_reason}}": rate("mcts_searches_total", "stop_reason")},
        "ops",
        width=12,
        stacked=True,
    ),
    Panel(
        "Ended by their deadline",
        {
            "{{strategy}}": ratio(
                rate("mcts_searches_total", ALL, 'stop_reason="deadline"'), rate("mcts_searches_total", ALL)
            )
        },
        "percentunit",
        width=12,
    ),
]

TREES = [
    Panel("Nodes", {f"p{100 * q:g} {{{{strategy}}}}": quantile(q, "mcts_tree_nodes", ALL) for q in (0.5, 0.95)}),
    Panel("Depth", {f"p{100 * q:g} {{{{strategy}}}}": quantile(q, "mcts_tree_depth", ALL) for q in (0.5, 0.95)}),
    Panel(
        "Branching",
        {"{{strategy}}": mean("mcts_tree_branching", ALL)},
        note="Mean children of the nodes that have any. Near 1, the model repeats itself.",
    ),
    Panel("Simulations", {"{{strategy}}": rate("mcts_simulations_total", ALL)}, "ops", stacked=True),
    Panel(
        "Simulations per search",
        {"{{strategy}}": ratio(rate("mcts_simulations_total", ALL), rate("mcts_searches_total", ALL))},
    ),
    Panel(
        "Collisions per simulation",
        {"{{strategy}}": ratio(rate("mcts_collisions_total", ALL), rate("mcts_simulations_total", ALL))},
        note="High: the width is more than the tree has leaves for.",
    ),
    Panel(
        "Tokens per search",
        {"{{strategy}}": ratio(rate("mcts_generated_tokens_total", ALL), rate("mcts_searches_total", ALL))},
        width=12,
    ),
    Panel(
        "Tokens lost",
        {"lost": ratio(rate("mcts_generated_tokens_total", labels='use="lost"'), rate("mcts_generated_tokens_total"))},
        "percentunit",
        width=12,
        note="Of searches that were cancelled or failed.",
    ),
]

QUALITY = Board(
    "espalier-quality",
    "Espalier: search quality",
    "What searching finds and what it costs.",
    {"Answers": ANSWERS, "Ends": ENDS, "Trees": TREES},
)
