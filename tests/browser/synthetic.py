"""A made-up trace of any size, for what no engine on this machine grows quickly enough."""

from __future__ import annotations

import random
from typing import Any

WORDS = ("first", "add", "the", "rows", "then", "take", "away", "seats", "so", "we", "get", "twelve", "times", "eight")


def big_trace(nodes: int, *, seed: int = 7, search_id: str = "search-big") -> dict[str, Any]:
    """A trace in the shape of ``SearchTrace``: a tree in which good nodes are visited more, and its events.

    Args:
        nodes: How many it has, the root included.
        seed: For the same one again.
        search_id: Its id.
    """
    chance = random.Random(seed)
    tree, events = [_node(0, None, 0, chance)], [{"type": "node_added", "node": 0, "visits": 0, "value": 0.0}]
    children: list[list[int]] = [[]]
    worth = [0.5]
    while len(tree) < nodes:
        at = 0
        while len(children[at]) >= 4:
            at = max(
                children[at], key=lambda child: worth[child] + chance.gauss(0, 0.15) - tree[child]["visits"] / 4000
            )
        node = _node(len(tree), at, tree[at]["depth"] + 1, chance)
        worth.append(min(1.0, max(0.0, worth[at] + chance.gauss(0, 0.12))))
        events.append({"type": "node_added", "node": node["node"], "visits": 0, "value": 0.0})
        events.append({"type": "backed_up", "node": node["node"], "visits": 1, "value": worth[-1]})
        tree.append(node)
        children.append([])
        children[at].append(node["node"])
        _back_up(tree, node["node"], worth[-1])
    _mark_winner(tree, children)
    for number, event in enumerate(events):
        event["seconds"] = round(number * 0.004, 6)
    return _head(search_id, nodes, max(node["depth"] for node in tree)) | {"tree": tree, "events": events}


def _node(number: int, parent: int | None, depth: int, chance: random.Random) -> dict[str, Any]:
    words = [f"{chance.choice(WORDS)} " for _ in range(0 if parent is None else 12)]
    return {
        "node": number,
        "parent": parent,
        "depth": depth,
        "seconds": number * 0.008,
        "text": "".join(words),
        "tokens": len(words),
        "token_texts": words,
        "confidences": [round(chance.uniform(0.3, 1.0), 4) for _ in words],
        "prior": 0.25,
        "terminal": chance.random() < 0.1,
        "visits": 0,
        "value": None,
        "value_sum": 0.0,
        "rewards": [],
        "winning": False,
    }


def _back_up(tree: list[dict[str, Any]], number: int, value: float) -> None:
    at: int | None = number
    while at is not None:
        node = tree[at]
        node["visits"] += 1
        node["value_sum"] += value
        node["value"] = node["value_sum"] / node["visits"]
        at = node["parent"]


def _mark_winner(tree: list[dict[str, Any]], children: list[list[int]]) -> None:
    at = 0
    tree[at]["winning"] = True
    while children[at]:
        at = max(children[at], key=lambda child: tree[child]["visits"])
        tree[at]["winning"] = True


def _head(search_id: str, nodes: int, depth: int) -> dict[str, Any]:
    return {
        "id": search_id,
        "object": "search",
        "request_id": "chatcmpl-big",
        "created": 1_800_000_000.0,
        "model": "abacus",
        "strategy": "uct",
        "reward": "prm",
        "vote": "weighted",
        "state": "finished",
        "stop_reason": "simulations",
        "error": None,
        "budget": {"simulations": nodes, "tokens": None, "seconds": None},
        "waited_seconds": 0.0,
        "seconds": nodes * 0.008,
        "simulations": nodes - 1,
        "nodes": nodes,
        "depth": depth,
        "tokens": {"prompt": 20, "generated": 12 * nodes, "answer": 60, "cached": 0},
        "engine_calls": nodes // 4,
        "reward_calls": nodes // 4,
        "value": 0.9,
        "answer": "92",
        "question": "How many seats are free?",
        "texts": True,
        "truncated": False,
        "options": {},
        "sampling": {"max_tokens": 256, "n": 1, "seed": None, "temperature": 0.7, "top_p": 1.0, "top_k": 0},
        "messages": [{"role": "user", "content": "How many seats are free?"}],
        "prompt": None,
        "candidates": [],
        "votes": [],
    }
