"""Beam search over process rewards (Snell et al., 2408.03314; Beeching et al., search-and-learn).

Each round extends the kept paths by one step, ``beams`` new paths in all, and keeps the best of every ``branch``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

from mcts.ports import Sampling
from mcts.result import SearchResult, Task
from mcts.strategies.dvts import DvtsOptions
from mcts.strategies.paths import Beam, evenly, merged
from mcts.strategies.population import Population, planted, searched
from mcts.strategy import Ports


@dataclass(frozen=True, slots=True)
class BeamOptions(DvtsOptions):
    """Options of ``beam``: those of ``dvts`` and one more.

    Args:
        refill: Whether the places of finished paths go to others, so that ``beams`` stay active until as many have
            finished, as in search-and-learn. Without, a finished path keeps its place.
    """

    refill: bool = False


SEARCH_AND_LEARN = BeamOptions(
    beams=4,
    branch=4,
    lookahead=0,
    max_depth=40,
    aggregate="last",
    vote_aggregate="last",
    vote="weighted",
    refill=True,
)
"""Defaults of search-and-learn (Hugging Face, at 6f81cac): n 4, beam width 4, no lookahead, 40 iterations, last."""

SEARCH_AND_LEARN_DVTS = DvtsOptions(
    beams=4, branch=4, lookahead=0, max_depth=40, aggregate="last", vote_aggregate="last"
)
"""The same for its diverse verifier tree search; with four beams that is a single subtree."""

SEARCH_AND_LEARN_SAMPLING = Sampling(temperature=0.8, top_p=1.0)
"""Of the same."""


async def beam(task: Task, ports: Ports, options: BeamOptions, name: str = "beam") -> SearchResult:
    """Grows ``beams`` paths side by side until as many have finished or a limit is met, then holds the vote.

    Raises:
        InvalidRequest: There is no reward.
        NoAnswerInTime: The budget ended before any path was scored.
        EngineError, RewardError: An engine failed before any candidate existed.
    """
    population = planted(task, ports, options, name, options.lookahead)
    return await searched(population, functools.partial(_rounds, population, options))


async def _rounds(population: Population, options: BeamOptions) -> None:
    """One round per step. All calls of a round are open at once; it ends with the last of them."""
    candidates = population.search.candidates
    shares = evenly([population.root], options.beams)
    while shares and population.going:
        grown = await population.advance(shares)
        room = options.beams - len(candidates)
        for finished in _best((path for path in grown if path.finished), room):
            population.set_aside(finished)
        missing = options.beams - len(candidates)
        places = options.beams if options.refill and missing else missing
        active = [path for path, _ in merged((path, 1) for path in grown if path.open)]
        shares = evenly(_best(active, -(-places // options.branch)), places)
    population.tell_exhausted(options.beams)


def _best(paths: Iterable[Beam], count: int) -> list[Beam]:
    """The ``count`` paths of highest rank, best first; the first drawn among equals."""
    return sorted(paths, key=lambda path: -path.rank)[:count]
