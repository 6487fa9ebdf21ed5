"""A plot of accuracy against generated tokens: a column per kind of problems, a row per group of strategies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.figures import Figures
from evals.suites import GREEDY
from evals.tables import kinds

GROUPS = {
    "sampling": ("majority", "best_of_n", "weighted_best_of_n", "cot_decoding"),
    "trees of steps": ("uct", "marco-o1"),
    "populations": ("beam", "dvts", "rebase", "particle", "search-and-learn", "search-and-learn-dvts"),
    "trees of answers": ("self_refine", "mctsr", "ab_mcts"),
}
"""Strategies that are drawn together, by the first word of their label."""

YARDSTICK = "majority"
"""Drawn in grey in every group, so that groups can be compared."""

MARKERS = "osD^vP*X<>"

APART = 1.02
"""Factor on the tokens by which each line of a panel is drawn beside the one before: equal sizes cost the same."""

Series = list[Figures]


def plot(figures: Sequence[Figures], path: Path) -> None:
    """Draws accuracy under each search's own vote, with its interval, against mean generated tokens per question."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    columns = kinds([row for row in figures if row.own and not row.failed])
    groups = [group for group in GROUPS if any(series_of(rows, group) for rows in columns)]
    size = (5.2 * len(columns) + 3.2, 3.7 * max(1, len(groups)))
    canvas, panels = plt.subplots(
        max(1, len(groups)), len(columns), figsize=size, squeeze=False, sharex=True, sharey="col", layout="constrained"
    )
    for line, group in zip(panels, groups, strict=False):
        for panel, rows in zip(line, columns, strict=True):
            _draw(panel, rows, group)
            panel.set_title(f"{rows[0].kind}: {group}", fontsize=10)
        line[0].set_ylabel("accuracy, %")
        line[-1].legend(*_legend(line), loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
    for panel in panels[-1]:
        panel.set_xlabel("generated tokens per question")
        panel.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))  # shared by all rows of the column
        panel.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
        panel.xaxis.set_minor_formatter(ticker.NullFormatter())
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=110)
    plt.close(canvas)


def series_of(rows: Sequence[Figures], group: str) -> dict[str, Series]:
    """The lines of one panel: the figures of each strategy and reward, cheapest first."""
    series: dict[str, Series] = {}
    for row in rows:
        if row.label.split()[0] in GROUPS[group]:
            series.setdefault(f"{row.label}, {row.reward}" if row.reward else row.label, []).append(row)
    return {name: sorted(line, key=lambda row: row.tokens) for name, line in series.items()}


def _draw(panel: Any, rows: Sequence[Figures], group: str) -> None:
    greedy = next((row for row in rows if row.run == GREEDY), None)
    if greedy is not None:
        panel.axhline(100 * greedy.accuracy, color="0.6", linestyle=":", label=GREEDY)
    shared = sorted((row for row in rows if row.label == YARDSTICK), key=lambda row: row.tokens)
    if shared and YARDSTICK not in GROUPS[group]:
        accuracies = [100 * row.accuracy for row in shared]
        panel.plot([row.tokens for row in shared], accuracies, color="0.6", label=YARDSTICK)
    series = series_of(rows, group)
    for number, (name, line) in enumerate(series.items()):
        _, _, bars = panel.errorbar(
            [row.tokens * APART ** (number - (len(series) - 1) / 2) for row in line],
            [100 * row.accuracy for row in line],
            yerr=[
                [_percent(row.accuracy - row.low) for row in line],
                [_percent(row.high - row.accuracy) for row in line],
            ],
            color=f"C{number % 10}",
            marker=MARKERS[number % len(MARKERS)],
            markersize=5,
            linewidth=1.3,
            elinewidth=0.8,
            label=name,
        )
        for bar in bars:
            bar.set_alpha(0.35)  # a dozen intervals side by side must not hide the points
    panel.set_xscale("log")
    panel.grid(alpha=0.25)


def _percent(share: float) -> float:
    return max(0.0, 100 * share)  # an interval of 0% or 100% may miss its share by a rounding error


def _legend(line: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Every label of a row of panels once: a series may be missing from one of them."""
    handles: dict[str, Any] = {}
    for panel in line:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    return list(handles.values()), list(handles)
