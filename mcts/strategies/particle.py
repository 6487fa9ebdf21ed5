"""Particle filtering (Puri et al., 2502.01618): after every step the paths are weighed by reward and resampled.

Compared with the authors' two codes, probabilistic-inference-scaling (``src/sal/search/particle_gibbs.py``, commit
e6d4aa7) and its_hub (``its_hub/algorithms/particle_gibbs.py``, commit 005d903):

- Weights are the softmax of the log-odds of the latest reward over a temperature, in both (its_hub: temperature 1);
  rewards before the latest take no part.
- Finished particles keep their weight and are resampled with the others: its_hub, and the first code's function unless
  told otherwise (``resample_inactive``; its command line leaves it off and resamples the open ones only).
- Nothing is resampled after the last step: the first code. its_hub resamples once more before it picks.
- Both draw each particle by itself (``multinomial``); systematic resampling is our default, and a choice in later
  versions of its_hub.
- its_hub answers with the particle of the highest weight, which is the vote ``max_value`` here; our default,
  ``weighted``, sums the rewards of equal answers.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mcts.options import require, require_between
from mcts.result import SearchResult, Task
from mcts.seeds import derive_seed
from mcts.strategies.paths import MOST_PATHS, Beam, PathOptions, evenly, merged
from mcts.strategies.population import Population, planted, searched
from mcts.strategies.rebase import LEAST_TEMPERATURE, MOST_TEMPERATURE
from mcts.strategy import Ports

Resampling = Literal["systematic", "multinomial"]

CERTAINTY = 1e-7
"""Rewards are kept this far from 0 and 1, where log-odds are infinite; as in its_hub."""


@dataclass(frozen=True, slots=True)
class ParticleOptions(PathOptions):
    """Options of ``particle``, beside those of all population searches.

    Args:
        particles: Paths in the population, 1 to 256; takes the place of ``Budget.simulations``. Higher values find
            rarer answers and cost proportionally more tokens.
        tempering: Temperature of the softmax over log-odds, 0.001 to 1000. Higher values keep more paths alive; near
            0 the best one takes all. The authors' is 1.
        resampling: ``systematic`` gives each path its share of the particles to within one (less noise);
            ``multinomial`` draws every particle by itself, as the paper does.
    """

    particles: int = 16
    tempering: float = 1.0
    resampling: Resampling = "systematic"

    def __post_init__(self) -> None:
        PathOptions.__post_init__(self)  # super() without arguments does not work in a class with slots
        require_between(self.particles, 1, MOST_PATHS, "search.particles")
        require_between(self.tempering, LEAST_TEMPERATURE, MOST_TEMPERATURE, "search.tempering")
        known = self.resampling in ("systematic", "multinomial")
        require(known, "search.resampling must be systematic or multinomial.", "search.resampling")


async def particle(task: Task, ports: Ports, options: ParticleOptions) -> SearchResult:
    """Grows and resamples the particles until all have finished or a limit is met, then lets them vote.

    Raises:
        InvalidRequest: There is no reward.
        NoAnswerInTime: The budget ended before any path was scored.
        EngineError, RewardError: An engine failed before any candidate existed.
    """
    population = planted(task, ports, options, "particle")
    return await searched(population, functools.partial(_rounds, population, options))


async def _rounds(population: Population, options: ParticleOptions) -> None:
    """One round per step: extend the open particles, weigh, resample.

    Finished particles stay and may be resampled, that is multiplied or lost. Nothing is resampled once no particle is
    open: the vote weighs them by the same rewards, which would otherwise count twice.
    """
    answered: list[Beam] = []
    particles: list[Beam] = []
    shares = evenly([population.root], options.particles)
    for depth in itertools.count(1):
        grown = await population.advance(shares)
        answered += [path for path in grown if path.finished]
        particles = [path for path in (*particles, *grown) if path.finished or path.open]
        if not population.going or not any(path.open for path in particles):
            break
        particles = _resampled(population, options, particles, depth)
        shares = merged((path, 1) for path in particles if path.open)
        particles = [path for path in particles if path.finished]
    _set_aside(population, particles, answered)


def _set_aside(population: Population, particles: Sequence[Beam], answered: Sequence[Beam]) -> None:
    """The finished particles become candidates. Answers that were lost in resampling must do where there is none."""
    finished = [path for path in particles if path.finished] or answered
    for path in finished:
        population.set_aside(path)
    population.tell_exhausted(1)


def _resampled(population: Population, options: ParticleOptions, paths: Sequence[Beam], depth: int) -> list[Beam]:
    """A whole population of particles, drawn from its paths by their weights; seeded by the task and the round."""
    task = population.search.task
    chance = random.Random(derive_seed(task.seed, f"resample/{depth}", task.prompt.token_ids))
    weights = odds([path.rank for path in paths], options.tempering)
    if options.resampling == "multinomial":
        return chance.choices(paths, weights, k=options.particles)
    return [paths[i] for i in systematic(weights, options.particles, chance.random())]


def odds(rewards: Sequence[float], tempering: float) -> list[float]:
    """Weights of particles, softmax of ``log(R / (1 - R)) / T``: with ``T`` 1 the odds ``R / (1 - R)``, normalised.

    The formula is that of the authors' codes (``inverse_sigmoid`` and ``softmax``; ``T`` is ``softmax_temp`` there, 1
    unless set). It takes the latest reward, which is about the whole path so far, in place of a running product.

    Args:
        rewards: At least one, each in [0, 1].
        tempering: ``T``, above 0.

    Returns:
        One weight per reward, at least 0; they sum to 1.
    """
    kept = [min(1 - CERTAINTY, max(CERTAINTY, reward)) for reward in rewards]
    logits = [math.log(reward / (1 - reward)) / tempering for reward in kept]
    best = max(logits)
    weights = [math.exp(logit - best) for logit in logits]
    total = math.fsum(weights)  # at least 1, the best one's
    return [weight / total for weight in weights]


def systematic(weights: Sequence[float], count: int, offset: float) -> list[int]:
    """Systematic resampling (Kitagawa 1996): the paths at ``(offset + k) / count`` on the line of cumulated weights.

    A path of weight ``w`` is taken ``floor(w · count)`` or ``ceil(w · count)`` times.

    Args:
        weights: Each at least 0, with sum 1.
        count: How many are taken.
        offset: In [0, 1); the only random number.

    Returns:
        Indices of paths, rising.
    """
    bounds = list(itertools.accumulate(weights))
    taken: list[int] = []
    i = 0
    for k in range(count):
        while i < len(bounds) - 1 and bounds[i] <= (offset + k) / count:
            i += 1
        taken.append(i)
    return taken
