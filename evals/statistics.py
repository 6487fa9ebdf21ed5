"""Accuracies with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959964
"""The normal distribution's 97.5th percentile: half the width of a 95% interval in standard deviations."""


def wilson(right: int, total: int) -> tuple[float, float]:
    """The 95% Wilson score interval of a share (Wilson 1927), both ends in [0, 1].

    Args:
        right: Successes, 0 to ``total``.
        total: Trials, at least 1.
    """
    share = right / total
    scale = 1 + Z95**2 / total
    middle = (share + Z95**2 / (2 * total)) / scale
    half = Z95 * math.sqrt(share * (1 - share) / total + Z95**2 / (4 * total**2)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more often one run is right than another on the same questions, in shares.

    Args:
        mean: Ours minus theirs, as counted.
        low, high: Its 95% interval.
    """

    mean: float
    low: float
    high: float


def paired_difference(ours: Sequence[bool], theirs: Sequence[bool]) -> Difference:
    """The difference of two shares over the same questions, with Agresti and Min's interval (2005, "Wald + 2").

    Pairing by question removes the questions' own difficulty from the uncertainty: only those count that one run
    alone got right, ``b`` of ours and ``c`` of theirs. Half a question added to each of the four kinds of pairs keeps
    the interval honest where few differ: with ``b' = b + 1/2``, ``c' = c + 1/2`` and ``n' = n + 2`` it is
    ``(b' - c') / n' ± z · sqrt(b' + c' - (b' - c')² / n') / n'``.

    Args:
        ours: Whether each question was answered rightly by one run; at least one question.
        theirs: The same questions, in the same order, by another run.
    """
    pairs = list(zip(ours, theirs, strict=True))
    alone = sum(a and not b for a, b in pairs) + 0.5
    missed = sum(b and not a for a, b in pairs) + 0.5
    total = len(pairs) + 2
    middle = (alone - missed) / total
    half = Z95 * math.sqrt(alone + missed - (alone - missed) ** 2 / total) / total
    return Difference((alone - missed) / len(pairs), max(-1.0, middle - half), min(1.0, middle + half))
