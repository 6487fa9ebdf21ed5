"""A tree redrawn from the events of its search: its nodes with the visits and values that they add up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mcts import events


@dataclass(slots=True, eq=False)
class GrownNode:
    """A node as its events tell it. ``rewards`` are those of rollouts from it, in the order in which they came."""

    added: events.NodeAdded
    visits: int
    value_sum: float
    rewards: list[float] = field(default_factory=list)

    @property
    def value(self) -> float | None:
        """Mean reward of the visits; None when unvisited."""
        return self.value_sum / self.visits if self.visits else None


def grown(recorded: Iterable[events.Event]) -> dict[int, GrownNode]:
    """Replays a search.

    Args:
        recorded: Its events in their order, from the first on; they may break off anywhere.

    Returns:
        Its nodes by their numbers, each after its parent; empty for a search without a tree.
    """
    nodes: dict[int, GrownNode] = {}
    for event in recorded:
        match event:
            case events.NodeAdded():
                nodes[event.node] = GrownNode(event, event.visits, event.value)
            case events.BackedUp():
                for node in lineage(nodes, event.node):
                    node.visits += event.visits
                    node.value_sum += event.value
            case events.PathScored() if event.node in nodes:
                nodes[event.node].rewards.append(event.reward)
            case _:
                pass
    return nodes


def lineage(nodes: dict[int, GrownNode], number: int | None) -> Iterable[GrownNode]:
    """A node, its parent, and so on to the root; nothing for a node that is not there."""
    while number is not None and (node := nodes.get(number)) is not None:
        yield node
        number = node.added.parent
