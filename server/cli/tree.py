"""The tree of a running search as the terminal shows it, rebuilt from the stream's events. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text
from rich.tree import Tree

from server.cli.plain import short

MOST_LINES = 30
"""Nodes that are drawn; the most visited ones."""

LONGEST_STEP = 70
"""Characters of a step that are shown."""


@dataclass(slots=True, eq=False)
class Leaf:
    """What is known about one node."""

    text: str
    parent: int | None
    terminal: bool
    visits: int = 0
    value_sum: float = 0.0
    children: list[int] = field(default_factory=list)


class GrowingTree:
    """A search as its events tell it."""

    def __init__(self, question: str) -> None:
        self._question = question
        self._nodes: dict[int, Leaf] = {}
        self.simulations = 0
        self.best: str | None = None
        self.winner: int | None = None

    def read(self, event: dict[str, Any]) -> None:
        """Takes in one event."""
        match event["type"]:
            case "node_added":
                self._add(event)
            case "backed_up":
                self._back_up(event)
            case "simulation_done":
                self.simulations, self.best = event["done"], event["best_answer"]
            case "search_finished":
                self.winner = event["node"]

    def __len__(self) -> int:
        return len(self._nodes)

    def draw(self, most: int = MOST_LINES) -> Tree:
        """The tree, so many of its most visited nodes and the winning path only."""
        drawn = Tree(Text(_short(self._question), style="bold"), guide_style="dim")
        shown = sorted(self._nodes, key=lambda number: (-self._nodes[number].visits, number))[:most]
        self._draw(0, drawn, frozenset(shown) | self._winning())
        return drawn

    def headline(self) -> Text:
        """One line: how far it is."""
        unit = "simulation" if self._nodes else "sample"
        parts = [f"{self.simulations} {unit}{'' if self.simulations == 1 else 's'}"]
        if self._nodes:
            parts.append(f"{len(self)} nodes")
        if self.best:
            parts.append(f"best so far {_short(self.best)}")
        return Text(" · ".join(parts), style="cyan")

    def _add(self, event: dict[str, Any]) -> None:
        number, parent = event["node"], event["parent"]
        self._nodes[number] = Leaf(event["text"], parent, event["terminal"], event["visits"], event["value"])
        if parent in self._nodes:
            self._nodes[parent].children.append(number)

    def _back_up(self, event: dict[str, Any]) -> None:
        number: int | None = event["node"]
        while number is not None and number in self._nodes:
            node = self._nodes[number]
            node.visits += event["visits"]
            node.value_sum += event["value"]
            number = node.parent

    def _winning(self) -> frozenset[int]:
        path: set[int] = set()
        number = self.winner
        while number is not None and number in self._nodes:
            path.add(number)
            number = self._nodes[number].parent
        return frozenset(path)

    def _draw(self, number: int, into: Tree, shown: frozenset[int]) -> None:
        """Draws the children of a node; a loop over an explicit stack, because trees may be deep."""
        stack = [(number, into)]
        while stack:
            at, branch = stack.pop()
            node = self._nodes.get(at)
            children = sorted(node.children, key=lambda child: -self._nodes[child].visits) if node else []
            stack.extend((child, branch.add(self._label(child))) for child in children if child in shown)
            if hidden := sum(child not in shown for child in children):
                branch.add(Text(f"… {hidden} more", style="dim"))

    def _label(self, number: int) -> Text:
        node = self._nodes[number]
        value = node.value_sum / node.visits if node.visits else None
        style = "bold green" if number in self._winning() else "" if node.visits else "dim"
        label = Text(f"{node.visits}× {'–' if value is None else f'{value:.2f}'} ", style="cyan")
        return label.append(_short(node.text) + (" ■" if node.terminal else ""), style=style)


def vote_line(votes: Sequence[Mapping[str, Any]], most: int = 6) -> str:
    """The heaviest answers with their weights and counts, on one line."""
    return "   ".join(
        f"{_short(vote['answer'] or '(none)')}: {vote['weight']:.2f} ({vote['count']})" for vote in votes[:most]
    )


def _short(text: str) -> str:
    return short(text, LONGEST_STEP)
