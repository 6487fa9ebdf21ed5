"""Rules of the figures' uncertainty."""

from __future__ import annotations

import pytest

from evals.statistics import paired_difference, wilson


def test_wilson_matches_the_textbook_value() -> None:
    """Wilson's interval for 5 of 10 is 0.2366 to 0.7634."""
    # z² = 3.8415; scale = 1.38415; middle = (0.5 + 0.192073) / 1.38415 = 0.5
    # half = 1.959964 · √(0.025 + 0.0096036) / 1.38415 = 0.263405
    assert wilson(5, 10) == pytest.approx((0.236595, 0.763405), abs=1e-5)


@pytest.mark.parametrize(("right", "end"), [(0, 0), (10, 1)])
def test_wilson_stays_a_share(right: int, end: int) -> None:
    """All wrong or all right still gives an interval inside [0, 1] that is not a point."""
    low, high = wilson(right, 10)
    assert 0 <= low < high <= 1
    assert (low, high)[end] == pytest.approx(end)


def test_paired_difference_by_hand() -> None:
    """Of ten pairs five differ, four of them in our favour: 0.3 more, and Agresti and Min's interval around 0.25."""
    ours = [True] * 4 + [False] + [True] * 3 + [False] * 2
    theirs = [False] * 4 + [True] + [True] * 3 + [False] * 2
    # b' = 4.5, c' = 1.5, n' = 12: middle 3 / 12 = 0.25
    # half = 1.959964 · √(6 - 9 / 12) / 12 = 1.959964 · 2.291288 / 12 = 0.374237
    found = paired_difference(ours, theirs)
    assert (found.mean, found.low, found.high) == pytest.approx((0.3, -0.124237, 0.624237), abs=1e-5)


def test_equal_runs_are_not_surely_equal() -> None:
    """Where no pair differs the difference is 0, but its interval is no point."""
    found = paired_difference([True] * 10, [True] * 10)
    # b' = c' = 0.5, n' = 12: half = 1.959964 · √1 / 12 = 0.163330
    assert (found.mean, found.low, found.high) == pytest.approx((0, -0.163330, 0.163330), abs=1e-5)


def test_only_runs_over_the_same_questions_are_compared() -> None:
    """Another number of questions is an error, not a shorter comparison."""
    with pytest.raises(ValueError, match="zip"):
        paired_difference([True], [True, False])
