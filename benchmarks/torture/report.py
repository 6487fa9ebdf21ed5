"""What was measured against what is demanded, as a table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that is judged. ``holds`` is None for what is only told."""

    trial: str
    what: str
    measured: str
    demanded: str = ""
    holds: bool | None = None


def print_points(points: Iterable[Point], console: Console) -> None:
    """Prints the table."""
    table = Table(title="torture", title_justify="left")
    for column in ("trial", "what", "measured", "demanded", ""):
        table.add_column(column, overflow="fold")
    marks = {True: "[green]holds[/green]", False: "[red]FAILS[/red]", None: ""}
    before = ""
    for point in points:
        table.add_row(
            point.trial if point.trial != before else "",
            point.what,
            point.measured,
            point.demanded,
            marks[point.holds],
        )
        before = point.trial
    console.print(table)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed; NaN of none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def seconds(value: float) -> str:
    """A duration for people."""
    return f"{value * 1000:.0f} ms" if abs(value) < 10 else f"{value:.1f} s"


def tally(outcomes: Iterable[str]) -> str:
    """How often each outcome came, most frequent first."""
    counted = Counter(outcomes).most_common()
    return ", ".join(f"{count} × {outcome}" for outcome, count in counted) or "none"
