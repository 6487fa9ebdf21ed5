"""A tree redrawn from the events of its search alone, as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mcts.events import BackedUp, Event, NodeAdded


def replayed(events: Iterable[Event]) -> dict[str, Any]:
    """The tree as nested dictionaries: text, visits, value sum, terminal at birth, children in their order."""
    nodes: dict[int, dict[str, Any]] = {}
    parents: dict[int, int | None] = {}
    for event in events:
        if isinstance(event, NodeAdded):
            node = {"text": event.text, "visits": event.visits, "value": event.value, "terminal": event.terminal}
            nodes[event.node], parents[event.node] = node | {"children": []}, event.parent
            if event.parent is not None:
                nodes[event.parent]["children"].append(nodes[event.node])
        elif isinstance(event, BackedUp):
            number: int | None = event.node
            while number is not None:
                nodes[number]["visits"] += event.visits
                nodes[number]["value"] += event.value
                number = parents[number]
    for node in nodes.values():
        node["value"] = round(node["value"], 9)
    return nodes[0]


def outline(node: dict[str, Any]) -> list[str]:
    """A redrawn tree as lines ``text visits value``, indented by depth."""
    lines = [f"{node['text'].strip() or '.'} {node['visits']} {node['value']:g}"]
    return lines + [" " + line for child in node["children"] for line in outline(child)]
