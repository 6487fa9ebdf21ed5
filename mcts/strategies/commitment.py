"""Progressive commitment: a tree search that decides the answer's beginning step by step while it goes on.

After each block of simulations the best first step is committed: its node becomes the top of the search, and its text
is certain to stand next in the answer. Game engines play that way (search, move, search on in the subtree with its
statistics kept); TS-LLM's MCTS-alpha (2309.17179) does so with text. Answers that begin otherwise are given up, so the
same search without it finds better ones; what it buys is text that flows long before the search ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mcts.search import Search
from mcts.tree import Node, Tree
from mcts.votes import worth


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
        if self._done < self.block:
            return
        best = best_child(self.top, self.search)
        if best is not None:
            self.top, self._done = best, 0
            self.search.commit(best)


def best_child(node: Node, search: Search) -> Node | None:
    """The child to commit to: the one that leads to the answer which would win if the search ended now.

    Where several do, the one behind which most reward of such answers stands; among equals, that of all answers, then
    the first. None while no finished answer goes through any. Game engines commit to the most visited child, which
    needs many visits to tell better from worse: with 8 to 32 simulations a block and wide nodes the visits are all but
    even, and what is committed all but random (docs/log.md, 2026-11-27).
    """
    backed = [(_backing(child, search), child) for child in node.children.values()]
    heard = [(backing, child) for backing, child in backed if backing is not None]
    return max(heard, key=lambda pair: pair[0])[1] if heard else None


def _backing(node: Node, search: Search) -> tuple[float, float] | None:
    """The rewards of the candidates through a node, summed: of those with the leading answer, and of all of them."""
    through = search.through(node)
    leading = [each for each in through if each.answer is not None and each.answer == search.leading]
    return (math.fsum(map(worth, leading)), math.fsum(map(worth, through))) if through else None
