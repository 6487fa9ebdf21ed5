"""What a search needs to know of whatever it grows, and what all that is grown has in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from mcts.ports import Step


class Numbered(Protocol):
    """A node as candidates refer to it."""

    @property
    def number(self) -> int:
        """Its place in the tree's list of nodes."""
        ...

    @property
    def visits(self) -> int:
        """Its completed visits."""
        ...


class Grown(Protocol):
    """What a result tells about a tree, whatever its nodes stand for."""

    @property
    def nodes(self) -> Sequence[object]:
        """All nodes, the root included."""
        ...

    @property
    def depth(self) -> int:
        """Edges from the root to the deepest node."""
        ...

    def locate(self, steps: Sequence[Step]) -> Numbered:
        """The node that a candidate of these steps ends in."""
        ...


class Dissolving:
    """A tree that can be taken apart; ``nodes`` are all of it, each with its ``children``."""

    nodes: list[Any]

    @contextmanager
    def dissolved(self) -> Iterator[None]:
        """Takes the tree apart in the end: parents and children hold each other and would be left as garbage."""
        try:
            yield
        finally:
            for node in self.nodes:
                node.children.clear()
