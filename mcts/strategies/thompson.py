"""Beliefs about what a further answer would be worth, and draws from them. Knows neither trees nor answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

LEAST_GAMMA = 1e-300
"""Keeps a drawn variance finite: a gamma variate of so few degrees of freedom may round to 0."""


class Belief(Protocol):
    """A distribution over the mean score of an action."""

    def after(self, scores: Sequence[float]) -> Belief:
        """The posterior after further scores, each in [0, 1]."""
        ...

    def awaiting(self, calls: int) -> Belief:
        """The belief while calls are in flight: as if each brought what is expected of it.

        The mean stays and the spread shrinks, so that others look elsewhere without thinking worse of it: WU-UCT's
        visits in flight (1810.11755), carried over to Thompson sampling. Not in the paper, which is sequential.
        """
        ...

    def draw(self, chance: np.random.Generator) -> float:
        """One Thompson sample of the mean score."""
        ...


@dataclass(frozen=True, slots=True)
class GaussianBelief:
    """A normal-inverse-gamma belief: ``σ² ~ InvGamma(ν/2, ντ²/2)``, ``μ ~ N(m, σ²/κ)``.

    The prior's numbers are AB-MCTS-A's (2503.04412; TreeQuest); the posterior is the conjugate one (Murphy,
    *Probabilistic Machine Learning: Advanced Topics*, section 3.4.3.3).
    """

    m: float = 0.0
    kappa: float = 1.0
    nu: float = 1.0
    tau2: float = 0.1

    def after(self, scores: Sequence[float]) -> GaussianBelief:
        """``κ' = κ + n``, ``ν' = ν + n``, ``m' = (κm + nx̄) / κ'``, ``ν'τ²' = ντ² + Σ(x - x̄)² + (x̄ - m)² · nκ / κ'``."""
        n = len(scores)
        if not n:
            return self
        mean = math.fsum(scores) / n
        kappa, nu = self.kappa + n, self.nu + n
        spread = math.fsum((score - mean) ** 2 for score in scores)
        shift = (mean - self.m) ** 2 * n * self.kappa / kappa
        m = (self.kappa * self.m + n * mean) / kappa
        return GaussianBelief(m, kappa, nu, (self.nu * self.tau2 + spread + shift) / nu)

    def awaiting(self, calls: int) -> GaussianBelief:
        """Scores equal to ``m`` add nothing to ``ντ²``."""
        nu = self.nu + calls
        return GaussianBelief(self.m, self.kappa + calls, nu, self.nu * self.tau2 / nu)

    def draw(self, chance: np.random.Generator) -> float:
        """A variance, then a mean."""
        gamma = max(LEAST_GAMMA, float(chance.gamma(self.nu / 2)))
        variance = self.nu * self.tau2 / 2 / gamma
        return float(chance.normal(self.m, math.sqrt(variance / self.kappa)))


@dataclass(frozen=True, slots=True)
class BetaBelief:
    """A beta belief over scores in [0, 1], each counted as a part success; Jeffreys' prior (TreeQuest)."""

    a: float = 0.5
    b: float = 0.5

    def after(self, scores: Sequence[float]) -> BetaBelief:
        """``a' = a + Σx``, ``b' = b + Σ(1 - x)``."""
        total = math.fsum(scores)
        return BetaBelief(self.a + total, self.b + len(scores) - total)

    def awaiting(self, calls: int) -> BetaBelief:
        """Scores equal to the mean keep it."""
        mean = self.a / (self.a + self.b)
        return BetaBelief(self.a + calls * mean, self.b + calls * (1 - mean))

    def draw(self, chance: np.random.Generator) -> float:
        """A mean score."""
        return float(chance.beta(self.a, self.b))


PRIORS: dict[str, Belief] = {"gaussian": GaussianBelief(), "beta": BetaBelief()}
"""Beliefs before any score, by name."""
