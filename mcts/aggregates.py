"""How the rewards of a path's steps become one number: last, lowest, product or mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

AggregateRule = Literal["last", "min", "product", "mean"]


def _last(rewards: Sequence[float]) -> float:
    return rewards[-1]


def _mean(rewards: Sequence[float]) -> float:
    return math.fsum(rewards) / len(rewards)


AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "last": _last,
    "min": min,
    "product": math.prod,
    "mean": _mean,
}
"""Each takes at least one reward in [0, 1] and gives one in [0, 1]. Snell et al. (2408.03314) compare the first three
for process rewards and find ``last`` the best; it is search-and-learn's default too."""
