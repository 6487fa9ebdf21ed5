"""One path of a population, the settings that all population searches share, and how places are handed out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mcts.aggregates import AGGREGATES, AggregateRule
from mcts.options import require, require_between
from mcts.ports import Step
from mcts.seeds import SEED_GAP
from mcts.steps import ENDED, StepRule
from mcts.tree import Node, State
from mcts.votes import VOTES, VoteRule

MOST_PATHS = SEED_GAP
"""One call may draw them all, and continuations of one call must not share the seeds of another."""

MOST_ROUNDS = 512
MOST_AT_WORK = 256


@dataclass(frozen=True, slots=True)
class PathOptions:
    """What the options of all population searches have in common.

    Args:
        max_depth: Steps after which a path is written to its end in one go, 1 to 512. Higher values choose more often.
        step: What one step is.
        aggregate: How the rewards of a path's steps become the number that paths are compared by. A reward that sees
            only the whole path gives each step the worth of the path up to it.
        vote_aggregate: The same for the reward that an answer takes into the vote.
        vote: How the answer is picked.
        width: Paths extended at once, 1 to 256. Higher values are faster; with 1 the calls follow each other in a fixed
            order, so that a token budget, too, ends the search at the same place every time.
    """

    max_depth: int = 40
    step: StepRule = field(default_factory=StepRule)
    aggregate: AggregateRule = "last"
    vote_aggregate: AggregateRule = "last"
    vote: VoteRule = "weighted"
    width: int = 64

    def __post_init__(self) -> None:
        require_between(self.max_depth, 1, MOST_ROUNDS, "search.max_depth")
        require_between(self.width, 1, MOST_AT_WORK, "search.width")
        require(self.vote in VOTES, f"search.vote must be one of {', '.join(VOTES)}.", "search.vote")
        for name in ("aggregate", "vote_aggregate"):
            known = getattr(self, name) in AGGREGATES
            require(known, f"search.{name} must be one of {', '.join(AGGREGATES)}.", f"search.{name}")


@dataclass(frozen=True, slots=True, eq=False)
class Beam:
    """One path of the population.

    Args:
        node: Where it ends in the tree. Equal paths end in the same node.
        rewards: What its steps are worth, in [0, 1]; empty at the root only.
        rank: What it is compared by, in [0, 1]: the aggregate of its rewards, or of the looked-ahead path's.
    """

    node: Node
    rewards: tuple[float, ...] = ()
    rank: float = 0.0

    @property
    def steps(self) -> tuple[Step, ...]:
        """Its steps, one for each time it was extended."""
        return self.node.steps()

    @property
    def finished(self) -> bool:
        """Whether the model had nothing to add. A text that a limit cut short is never finished."""
        return self.node.step is not None and self.node.step.finish in ENDED

    @property
    def open(self) -> bool:
        """Whether it can be extended: neither finished nor at a limit."""
        return self.node.state is not State.TERMINAL


Share = tuple[Beam, int]
"""A path and how many continuations it is given."""


def merged(shares: Iterable[Share]) -> list[Share]:
    """Shares of equal paths added up, so that one call with seeds of its own draws for all of them.

    The order is that of first members. Paths without a share are left out.
    """
    beams: dict[int, Beam] = {}
    copies: dict[int, int] = {}
    for beam, share in shares:
        number = beam.node.number
        beams.setdefault(number, beam)
        copies[number] = copies.get(number, 0) + share
    return [(beam, copies[number]) for number, beam in beams.items() if copies[number]]


def evenly(beams: Sequence[Beam], places: int) -> list[Share]:
    """Gives each path as many of the places as the others, the first ones one more where that does not come out even.

    Paths for which no place is left are left out.
    """
    each, over = divmod(places, max(1, len(beams)))
    return [(beam, each + (i < over)) for i, beam in enumerate(beams) if each + (i < over)]
