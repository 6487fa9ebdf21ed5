"""REBASE, reward-balanced search (Wu et al., 2408.00724): a budget of paths, shared among the open ones by reward."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from mcts.options import require_between
from mcts.result import SearchResult, Task
from mcts.strategies.paths import MOST_PATHS, PathOptions, evenly, merged
from mcts.strategies.population import Population, planted, searched
from mcts.strategy import Ports

LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.001, 1000.0

ROUNDING = 1e-9
"""How far above a whole number a share may lie and still be taken for it."""


@dataclass(frozen=True, slots=True)
class RebaseOptions(PathOptions):
    """Options of ``rebase``, beside those of all population searches.

    Args:
        beams: Paths in all, open or finished, 1 to 256; takes the place of ``Budget.simulations``. Higher values find
            rarer answers and cost proportionally more tokens.
        balance: Temperature ``T`` of the shares, 0.001 to 1000. Higher values share more evenly; near 0 the best path
            gets everything. The paper's is 0.2.
    """

    beams: int = 16
    balance: float = 0.2

    def __post_init__(self) -> None:
        PathOptions.__post_init__(self)  # super() without arguments does not work in a class with slots
        require_between(self.beams, 1, MOST_PATHS, "search.beams")
        require_between(self.balance, LEAST_TEMPERATURE, MOST_TEMPERATURE, "search.balance")


async def rebase(task: Task, ports: Ports, options: RebaseOptions) -> SearchResult:
    """Grows paths by rounds; the better a path, the more continuations it gets. Then holds the vote.

    Raises:
        InvalidRequest: There is no reward.
        NoAnswerInTime: The budget ended before any path was scored.
        EngineError, RewardError: An engine failed before any candidate existed.
    """
    population = planted(task, ports, options, "rebase")
    return await searched(population, functools.partial(_rounds, population, options))


async def _rounds(population: Population, options: RebaseOptions) -> None:
    """One round per step. Every finished path takes its place out of the budget of the rounds that follow."""
    candidates = population.search.candidates
    shares = evenly([population.root], options.beams)
    while shares and population.going:
        grown = await population.advance(shares)
        for finished in (path for path in grown if path.finished):
            population.set_aside(finished)
        active = [path for path in grown if path.open]
        places = balanced([path.rank for path in active], options.beams - len(candidates), options.balance)
        shares = merged(zip(active, places, strict=True))
    population.tell_exhausted(options.beams)


def balanced(rewards: Sequence[float], budget: int, temperature: float) -> list[int]:
    r"""Shares a budget: ``W_i = ceil(B · exp(R_i / T) / Σ_j exp(R_j / T))``, in turn from the best on (2408.00724).

    After each path ``B`` and the sum are reduced by what that path took, so the shares add up to the budget exactly,
    and low rewards may get nothing. Exponents are taken relative to the best reward, which keeps them from overflowing;
    those that vanish get nothing, for the best has then taken all.

    Args:
        rewards: One per path, in [0, 1].
        budget: ``B``, at least 0.
        temperature: ``T``, above 0.

    Returns:
        One share per path, at least 0, in the order of the rewards. The first among equals comes first.
    """
    best = max(rewards, default=0.0)
    weights = [math.exp((reward - best) / temperature) for reward in rewards]
    order = sorted(range(len(rewards)), key=lambda i: -rewards[i])
    shares = [0] * len(rewards)
    for turn, i in enumerate(order):
        if not budget:
            break
        share = budget * weights[i] / math.fsum(weights[j] for j in order[turn:])
        shares[i] = min(budget, math.ceil(share - ROUNDING))
        budget -= shares[i]
    return shares
