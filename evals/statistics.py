"""Accuracies with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def paired_difference(ours: Sequence[bool], theirs: Sequence[bool]) -> tuple[float, float]:
    """Mean difference of paired outcomes and half of its 95% interval (normal approximation), in shares.

    Pairing by question removes the questions' own difficulty from the uncertainty.

    Args:
        ours: Whether each question was answered rightly by one run; at least two questions.
        theirs: The same questions, in the same order, by another run.
    """
    differences = [int(a) - int(b) for a, b in zip(ours, theirs, strict=True)]
    mean = sum(differences) / len(differences)
    variance = sum((d - mean) ** 2 for d in differences) / (len(differences) - 1)
    return mean, Z95 * math.sqrt(variance / len(differences))
