"""Rules of the verdicts, on figures worked out by hand."""

from __future__ import annotations

import pytest

from evals.verdicts import main_verdicts, quarter_verdicts
from tests.evals.rows import row, score


def test_the_main_claims_hold_or_not_by_the_paired_difference() -> None:
    """Tree search 80, greedy 50, best-of-N 90 of 100: 30 points above the one, 10 below the other."""
    rows = [
        row("greedy", score(50, 100), vote="", reward=None),
        row("uct prm 32", score(80, 100), tokens=400.0),
        row("uct prm 32", score(99, 100), own=False, vote="max_value"),
        row("best of 6 prm", score(90, 100), tokens=440.0, vote="max_value"),
        row("best of 6 prm", score(10, 100), own=False),
    ]
    over, beside = main_verdicts(rows)
    # b' = 30.5, c' = 0.5, n' = 102: middle 0.294118, half = 1.959964 · √(31 - 900 / 102) / 102 = 0.090468
    assert (over.holds, over.certain) == (True, True)
    assert (over.difference.mean, over.difference.low) == pytest.approx((0.3, 0.203650), abs=1e-4)
    # b' = 0.5, c' = 10.5: middle -0.098039, half = 1.959964 · √(11 - 100 / 102) / 102 = 0.060826
    assert (beside.holds, beside.certain) == (False, True)
    assert (beside.difference.mean, beside.difference.high) == pytest.approx((-0.1, -0.037213), abs=1e-4)
    assert "tokens 0.91 : 1" in beside.note


def test_exactly_twenty_points_are_enough_but_not_beyond_chance() -> None:
    """The bound itself satisfies the claim; the interval reaches below it."""
    over = main_verdicts([row("greedy", score(60, 300), vote=""), row("uct prm 32", score(120, 300))])[0]
    assert (over.holds, over.certain) == (True, False)


def test_a_shortfall_within_chance_is_still_a_no() -> None:
    """One question fewer than best-of-N: the claim does not hold, and the interval says how sure that is."""
    (beside,) = main_verdicts([row("uct prm 32", score(50, 100)), row("best of 6 prm", score(51, 100))])
    assert (beside.holds, beside.certain) == (False, False)


def test_the_most_accurate_of_the_cheap_configurations_is_compared() -> None:
    """Only ``uct`` and ``beam`` by the process reward model, their own vote, at most a quarter of the tokens."""
    rows = [
        row("weighted_best_of_n prm 64", score(7), budget=64, tokens=4000.0),
        row("weighted_best_of_n prm 16", score(10), budget=16, tokens=1000.0),
        row("beam prm 8", score(6), tokens=500.0),
        row("beam prm 16", score(9), tokens=1001.0),  # a token too dear
        row("beam prm 16", score(10), tokens=999.0, own=False),
        row("uct step prm 16", score(8), tokens=1000.0),
        row("uct step confidence 16", score(10), tokens=900.0, reward="confidence"),
        row("dvts prm 8", score(10), tokens=500.0),
    ]
    (verdict,) = quarter_verdicts(rows)
    assert verdict.holds
    assert verdict.difference.mean == pytest.approx(0.1)
    assert verdict.note.startswith("`uct step prm 16` 80.0% (")
    assert "tokens 0.25 : 1; the best of 2 configurations" in verdict.note


def test_where_nothing_is_cheap_enough_the_claim_does_not_hold() -> None:
    """However accurate: the cheapest is shown with what it costs."""
    rows = [
        row("weighted_best_of_n prm 64", score(5), budget=64, tokens=1000.0),
        row("beam prm 8", score(9), tokens=300.0),
        row("uct step prm 8", score(8), tokens=260.0),
    ]
    (verdict,) = quarter_verdicts(rows)
    assert (verdict.holds, verdict.certain) == (False, True)
    assert "tokens 0.26 : 1; no configuration was cheap enough" in verdict.note


def test_kinds_are_judged_apart() -> None:
    """A verdict per kind of problems, none where the yardstick is missing."""
    rows = [
        row("weighted_best_of_n prm 64", score(7), budget=64, tokens=4000.0),
        row("beam prm 8", score(7), tokens=500.0),
        row("beam prm 8", score(9), tokens=500.0, kind="countdown"),
    ]
    assert [verdict.kind for verdict in quarter_verdicts(rows)] == ["word"]


def test_runs_in_which_every_question_failed_are_not_judged() -> None:
    """Neither as ours nor as theirs; a run that wrote nothing is still compared."""
    lost = {"errors": 10, "tokens": 0.0}
    main = [row("greedy", score(5)), row("uct prm 32", score(0), **lost), row("best of 6 prm", score(9))]
    assert main_verdicts(main) == []
    assert main_verdicts([row("greedy", score(0), **lost), row("uct prm 32", score(8))]) == []
    assert (
        quarter_verdicts([row("weighted_best_of_n prm 64", score(0), budget=64, **lost), row("beam 8", score(8))]) == []
    )
    (silent,) = main_verdicts([row("greedy", score(0), tokens=0.0), row("uct prm 32", score(8))])
    assert "tokens 120 : 0" in silent.note
