"""Diverse verifier tree search (Beeching et al., search-and-learn): independent subtrees, each greedy by reward."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from mcts.options import require_between
from mcts.result import SearchResult, Task
from mcts.strategies.paths import MOST_PATHS, PathOptions, evenly
from mcts.strategies.population import Population, planted, searched
from mcts.strategy import Ports

MOST_BRANCHES = 20
MOST_LOOKAHEAD = 16


@dataclass(frozen=True, slots=True)
class DvtsOptions(PathOptions):
    """Options of ``dvts``, beside those of all population searches.

    Args:
        beams: ``n``, paths in all, 1 to 256; takes the place of ``Budget.simulations``. Higher values find rarer
            answers and cost proportionally more tokens.
        branch: ``m``, of how many new paths one is kept, 1 to 20. Higher values follow the reward more closely; 1
            keeps every path.
        lookahead: Steps written on greedily from each new path, whose reward then ranks it, 0 to 16. Higher values
            judge better and cost as many further steps.
    """

    beams: int = 16
    branch: int = 4
    lookahead: int = 0

    def __post_init__(self) -> None:
        PathOptions.__post_init__(self)  # super() without arguments does not work in a class with slots
        require_between(self.beams, 1, MOST_PATHS, "search.beams")
        require_between(self.branch, 1, MOST_BRANCHES, "search.branch")
        require_between(self.lookahead, 0, MOST_LOOKAHEAD, "search.lookahead")


async def dvts(task: Task, ports: Ports, options: DvtsOptions, name: str = "dvts") -> SearchResult:
    """Grows ``beams / branch`` subtrees of ``branch`` paths each, without waiting for one another, then holds the vote.

    Raises:
        InvalidRequest: There is no reward.
        NoAnswerInTime: The budget ended before any path was scored.
        EngineError, RewardError: An engine failed before any candidate existed.
    """
    population = planted(task, ports, options, name, options.lookahead)
    return await searched(population, functools.partial(_subtrees, population, options))


async def _subtrees(population: Population, options: DvtsOptions) -> None:
    """``beams`` places shared among as many subtrees as it takes to give none more than ``branch``."""
    subtrees = -(-options.beams // options.branch)
    shares = evenly([population.root] * subtrees, options.beams)
    work = [functools.partial(_subtree, population, number, places) for number, (_, places) in enumerate(shares)]
    await population.search.run(work)
    population.tell_exhausted(1)


async def _subtree(population: Population, number: int, places: int) -> None:
    """Follows the best of its new paths until that is an answer, or every place holds one.

    All answers met on the way are candidates; each takes up a place, so there are never more than ``places``.
    """
    path = population.root
    while path.open and places and population.going:
        grown = await population.extend(path, places, f"subtree/{number}")
        standing = [one for one in grown if one.finished or one.open]
        for finished in (one for one in standing if one.finished):
            population.set_aside(finished)
            places -= 1
        if not standing:
            return
        path = max(standing, key=lambda one: one.rank)  # the first drawn among equals
