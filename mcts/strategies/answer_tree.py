"""A tree whose nodes are complete answers; the root stands for the question. Knows no formula and calls nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from mcts.events import NodeAdded
from mcts.grown import Dissolving
from mcts.ports import Path, Step


@dataclass(slots=True, eq=False)
class Answer:
    """One answer, or at the root the question.

    Answers are never merged: two of the same text are two nodes with statistics of their own.
    """

    # Fixed.
    number: int
    parent: Answer | None
    name: str  # places among siblings from the first answer on ("0.2"); with it the seed of what is drawn here
    path: Path | None  # None for the question
    depth: int

    # Changing during the search.
    children: list[Answer] = field(default_factory=list)
    visits: int = 0  # answers written from here, and of an answer also the writing of itself
    in_flight: int = 0  # answers being written from here
    in_flight_within: int = 0  # answers being written from here and from everything below
    begun: int = 0  # answers ever begun from here
    closed: bool = False  # no answer can be written from here: the model's context has no room
    asked: int = 0  # grades ever asked for
    rewards: list[float] = field(default_factory=list)
    value: float | None = None  # None until there is a reward
    below: list[float] = field(default_factory=list)  # rewards of all answers below, as they came

    @property
    def written(self) -> Path:
        """Its path.

        Raises:
            ValueError: The question is no answer.
        """
        if self.path is None:
            raise ValueError("the question is no answer")
        return self.path

    @property
    def text(self) -> str:
        """What it says; empty for the question."""
        return self.path.text if self.path else ""

    def lineage(self) -> Iterator[Answer]:
        """This answer, the one it was made from, and so on to the question."""
        yield self
        yield from self.above()

    def above(self) -> Iterator[Answer]:
        """The answer that this one was made from, and so on to the question."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent


def node_added(answer: Answer, seconds: float) -> NodeAdded:
    """The event that tells of a new answer, or of the question at the root."""
    steps = answer.path.steps if answer.path else ()
    return NodeAdded(
        node=answer.number,
        parent=answer.parent.number if answer.parent else None,
        depth=answer.depth,
        text=answer.text,
        tokens=sum(len(step.token_ids) for step in steps),
        terminal=False,
        prior=1.0,
        seconds=seconds,
        steps=steps,
    )


def _ignore(_: Answer) -> None:
    return None


class AnswerTree(Dissolving):
    """All answers of one search.

    Args:
        on_new: Told about every new answer.
    """

    def __init__(self, on_new: Callable[[Answer], None] = _ignore) -> None:
        self.question = Answer(0, None, "", None, depth=0)
        self.nodes: list[Answer] = [self.question]
        self.depth = 0
        self._on_new = on_new
        self._by_first_step: dict[Step, Answer] = {}

    @property
    def answers(self) -> Sequence[Answer]:
        """Every answer in the order in which they were written."""
        return self.nodes[1:]

    @property
    def in_flight(self) -> int:
        """Answers being written."""
        return self.question.in_flight_within

    @contextmanager
    def claimed(self, parent: Answer) -> Iterator[str]:
        """Counts an answer as being written from another one (or the question), and yields its name to be."""
        name = f"{parent.name}.{parent.begun}".lstrip(".")
        parent.begun += 1
        self._count_in_flight(parent, 1)
        try:
            yield name
        finally:
            self._count_in_flight(parent, -1)

    def add(self, parent: Answer, name: str, path: Path) -> Answer:
        """Adds an answer."""
        answer = Answer(len(self.nodes), parent, name, path, parent.depth + 1, visits=1)
        parent.children.append(answer)
        self.nodes.append(answer)
        self.depth = max(self.depth, answer.depth)
        self._by_first_step[path.steps[0]] = answer
        self._on_new(answer)
        return answer

    def _count_in_flight(self, parent: Answer, change: int) -> None:
        parent.in_flight += change
        for node in parent.lineage():
            node.in_flight_within += change

    def locate(self, steps: Sequence[Step]) -> Answer:
        """The answer that these very steps belong to."""
        return self._by_first_step[steps[0]]
