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
    """Pairs (1,0), (1,1), (0,0), (1,0) differ by 0.5 on average."""
    # differences 1, 0, 0, 1: mean 0.5, variance (4 · 0.25) / 3 = 1/3, half = 1.959964 · √(1/12) = 0.565793
    mean, half = paired_difference([True, True, False, True], [False, True, False, False])
    assert (mean, half) == pytest.approx((0.5, 0.565793), abs=1e-5)
