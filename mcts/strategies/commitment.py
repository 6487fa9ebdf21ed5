"""Progressive commitment: a tree search that decides the answer's beginning step by step while it goes on.

After each block of simulations the best first step is committed: its node becomes the top of the search, and its text
is certain to stand next in the answer. Game engines play that way (search, move, search on in the subtree with its
statistics kept); TS-LLM's MCTS-alpha (2309.17179) does so with text. Answers that begin otherwise are given up, so the
same search without it finds better ones; what it buys is text that flows long before the search ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mcts.search import Search
from mcts.tree import Node, Tree


@dataclass(slots=True, eq=False)
class Trunk:
    """How far the answer is decided.

    Simulations under way below steps that were not taken are not interrupted: they end as they would have, count in the
    tree and in the budget, and have no part in the next block or in the vote.

    Args:
        search: The search.
        tree: Its tree.
        block: Simulations below the top after which its best step is committed; None commits nothing.
    """

    search: Search
    tree: Tree
    block: int | None
    top: Node = field(init=False)  # where every further simulation begins
    _done: int = field(init=False, default=0)  # simulations below the top since it became that

    def __post_init__(self) -> None:
        self.top = self.tree.root

    def count(self, leaf: Node) -> None:
        """Counts a simulation that was done on a leaf, and commits the next step when the block is full.

        A step is committed only when a finished answer begins with it, so that there is always one to give; until
        then every further simulation looks again.
        """
        if self.block is None or self.top not in leaf.lineage():
            return
        self._done += 1
        best = best_child(self.top)
        if self._done >= self.block and best is not None and self.search.has_answer(best):
            self.top, self._done = best, 0
            self.search.commit(best)


def best_child(node: Node) -> Node | None:
    """The child to commit to: the most visited one (the robust child: Chaslot et al. 2008), among equals the best.

    Only completed visits count. Of equally visited ones the higher mean wins, then the first. None without visits.
    """
    visited = [child for child in node.children.values() if child.visits]
    return max(visited, key=lambda child: (child.visits, child.value), default=None)
