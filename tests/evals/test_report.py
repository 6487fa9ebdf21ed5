"""Rules of the results page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evals.measure import Measured
from evals.plots import GROUPS, plot, series_of
from evals.provenance import provenance
from evals.report import ABOUT, page
from evals.suites import SUITES
from evals.tables import by_run, by_strategy
from mcts.strategies import STRATEGIES
from tests.evals.rows import row, score


def test_the_page_compares_with_greedy_question_by_question() -> None:
    """Each run's gain over greedy stands in percentage points with the paired interval."""
    # As in test_statistics: 10 pairs, 4 ours alone, 1 theirs alone.
    greedy = row("greedy", [False] * 4 + [True] + [True] * 3 + [False] * 2, vote="", reward=None)
    tree = row("uct prm 32", [True] * 4 + [False] + [True] * 3 + [False] * 2)
    text = by_run([greedy, tree])
    assert (
        "| uct prm 32 | weighted | 70.0% | 39.7% to 89.2% | +30.0 (-12.4 to +62.4) | 120 | 3.5 | 0.25 |"
        in text.splitlines()
    )


def test_other_votes_stand_below_the_run_without_its_costs() -> None:
    """They cost nothing, so nothing is shown twice."""
    lines = by_run([row("best of 6", score(5)), row("best of 6", score(6), own=False, vote="majority")]).splitlines()
    assert lines[-1] == "|  | majority | 60.0% | 31.3% to 83.2% | | | |"


def test_a_line_of_the_family_has_a_column_per_vote() -> None:
    """The own vote is bold and is the accuracy; a vote that was not taken is empty."""
    rows = [
        row("beam prm 8", score(5), budget=8),
        row("beam prm 8", score(6), budget=8, own=False, vote="majority"),
        row("beam prm 16", score(7), budget=16),
    ]
    first, second = by_strategy(rows).splitlines()[-2:]
    assert first == (
        "| beam | prm | 8 | 50% (24 to 76) | **50% (24 to 76)** | 60% (31 to 83) |  |  | 120 | 3.5 | 0.25 |"
    )
    assert second.startswith("|  |  | 16 | 70% (40 to 89) |")


def test_errors_are_shown_beside_the_run_and_counted() -> None:
    """A run in which questions failed says so, in its line and above the table."""
    text = page({"main": Measured((row("greedy", score(1, 2), errors=2),), 60.0)}, "x", None)
    assert "| greedy (2 errors) |" in text
    assert "Of 2 replies 2 met an error. Measuring took 1 minutes." in text


def test_verdicts_say_yes_or_no_and_how_sure() -> None:
    """A claim that fails within chance is a no, and says that it is within chance."""
    rows = (row("uct prm 32", score(50, 100)), row("best of 6 prm", score(51, 100)))
    text = page({"main": Measured(rows, 1.0)}, "x", None)
    assert "| tree search is not below best-of-N at equal tokens | 100 word | **no**, within chance | -1.0 (" in text


def test_every_suite_is_explained() -> None:
    """No suite reaches the page without a heading of its own."""
    assert set(ABOUT) == set(SUITES)


def test_provenance_says_where_and_with_what() -> None:
    """Command, seed, cores and weights stand on the page."""
    text = provenance("python -m evals", 7, "abc123", 12.4)
    for part in ("`python -m evals`", "seed 7", f"{os.cpu_count()} cores", "`abc123`", "in 12 minutes"):
        assert part in text


def test_every_strategy_is_drawn_in_one_group() -> None:
    """None is forgotten in the plot, none drawn twice; plain decoding is a line across."""
    drawn = [strategy for group in GROUPS.values() for strategy in group]
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) == set(STRATEGIES) - {"direct", "cot"}


def test_a_series_is_one_strategy_and_reward_from_cheap_to_dear() -> None:
    """Its points are the budgets, in the order of their tokens."""
    rows = [
        row("beam prm 16", score(7), tokens=300.0),
        row("beam prm 8", score(5), tokens=200.0),
        row("beam confidence 8", score(4), reward="confidence"),
    ]
    found = series_of(rows, "populations")
    assert {name: [point.tokens for point in line] for name, line in found.items()} == {
        "beam, prm": [200.0, 300.0],
        "beam, confidence": [120.0],
    }


@pytest.mark.parametrize("kinds", [("word",), ("word", "countdown")])
def test_the_plot_is_written(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    """The plot is a PNG file, also where a group has no runs in one kind of problems."""
    rows = [row("greedy", score(1, 2), label="direct", reward=None)]
    rows += [row("uct 8", score(2, 3), kind=kind) for kind in kinds]
    rows.append(row("beam 8", score(2, 3)))
    rows += [row(f"beam {size}", score(right, 4)) for size, right in ((16, 0), (64, 4))]  # intervals end at the point
    picture = tmp_path / "images" / "accuracy.png"
    plot(rows, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
