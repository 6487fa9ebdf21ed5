"""What to give where nothing came to an end."""

from __future__ import annotations

from mcts.ports import PathScore
from mcts.search import Search
from mcts.tree import Tree


def fall_back_on_beginnings(search: Search, tree: Tree) -> None:
    """Where nothing came to an end (single steps under a tight budget), the best-valued leaf must do.

    Finished paths come first, those without a score too. Not when an engine failed: a beginning is no answer so far,
    and the caller should learn of the failure.
    """
    leaves = [node for node in tree.nodes if node.step and node.visits and not node.children]
    if search.candidates or search.failure or not leaves:
        return
    best = max(leaves, key=lambda node: (node.ended, node.value))
    if not best.ended:
        search.fall_back_on_unscored()
    if search.candidates:
        return
    search.found(search.path(best.steps()), PathScore(best.value), best.steps(), best)
