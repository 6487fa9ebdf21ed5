"""Rules of the results page."""

from __future__ import annotations

from pathlib import Path

from evals.measure import Figures
from evals.report import ABOUT, page, plot
from evals.suites import SUITES


def row(run: str, right: list[bool], errors: int = 0) -> Figures:
    """One run over the word family."""
    share = sum(right) / len(right)
    return Figures(run, "word", len(right), share, 0.1, 0.9, 120.0, 3.5, 0.25, errors, tuple(right))


def test_the_page_compares_with_greedy_question_by_question() -> None:
    """Each run's gain over greedy stands in percentage points with the paired interval."""
    # differences 1, 0, 0, 1: mean 0.5, half 0.565793 (as in test_statistics)
    rows = [row("greedy", [False, True, False, False]), row("uct prm 32", [True, True, False, True])]
    text = page({"main": rows}, "python -m evals", None)
    assert "| uct prm 32 | 75.0% | 10.0% to 90.0% | +50.0 ± 56.6 | 120 | 3.5 | 0.25 |" in text
    assert "with `python -m evals`" in text


def test_errors_are_shown_beside_the_run() -> None:
    """A run in which questions failed says so."""
    assert "| greedy (2 errors) |" in page({"main": [row("greedy", [True, False], errors=2)]}, "x", None)


def test_every_suite_is_explained() -> None:
    """No suite reaches the page without a heading of its own."""
    assert set(ABOUT) == set(SUITES)


def test_the_plot_is_written(tmp_path: Path) -> None:
    """The plot is a PNG file."""
    picture = tmp_path / "images" / "accuracy.png"
    plot([row("greedy", [True, False]), row("uct", [True, True, False])], picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
