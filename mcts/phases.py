"""Tells the observers how long a search's own work took: choosing what to work on, and backing rewards up."""

from __future__ import annotations

from mcts.events import BackedUp, Selected
from mcts.search import Search


def selected(search: Search, node: int, began: float) -> None:
    """Reports that a node was chosen; the choice began when the search's clock said ``began``."""
    search.emit(Selected(node, search.ports.clock() - began, search.meter.seconds))


def backed_up(search: Search, node: int, value: float, began: float) -> None:
    """Reports one visit that reached the root; that began when the search's clock said ``began``."""
    search.emit(BackedUp(node, 1, value, search.meter.seconds, search.ports.clock() - began))
