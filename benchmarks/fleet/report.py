"""What a load came to: a table by what happened, a picture over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet.load import Asked, Load

SLOW = 2.0
"""A request is late that takes longer than so many times the 95th percentile of the time before the first event."""

BEGINNING = "steady load"


@dataclass(frozen=True, slots=True)
class Window:
    """The requests that ended between one event and the next: those that an event met under way are its own.

    Attributes:
        what: The event that it began with.
        at: When, in seconds since the load began.
        asked: Its requests.
        late: Seconds from the event to the end of the last late request; 0 for none.
    """

    what: str
    at: float
    asked: tuple[Asked, ...]
    late: float

    def seconds(self, share: float) -> float:
        """A percentile of the requests' durations; NaN without any."""
        took = sorted(each.seconds for each in self.asked)
        return took[min(len(took) - 1, math.ceil(share * len(took)) - 1)] if took else math.nan


def windows(load: Load) -> list[Window]:
    """All windows, in order."""
    marks = [(0.0, BEGINNING), *load.marks]
    ends = [at for at, _ in marks[1:]] + [math.inf]
    parts = [
        (what, at, tuple(each for each in load.asked if at <= each.at + each.seconds < end))
        for (at, what), end in zip(marks, ends, strict=True)
    ]
    usual = SLOW * Window(*parts[0], 0.0).seconds(0.95)
    return [
        Window(
            what, at, asked, max((each.at + each.seconds - at for each in asked if each.seconds > usual), default=0.0)
        )
        for what, at, asked in parts
    ]


def table(load: Load) -> str:
    """The windows that have requests, as a table in Markdown."""
    lines = [
        "| from | at, s | requests | failed | median, s | p95, s | longest, s | last late one after, s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for window in windows(load):
        if not window.asked:
            continue
        failed = sum(each.failed for each in window.asked)
        took = " | ".join(f"{window.seconds(share):.2f}" for share in (0.5, 0.95, 1.0))
        lines.append(
            f"| {window.what} | {window.at:.0f} | {len(window.asked)} | {failed} | {took} | {window.late:.0f} |"
        )
    return "\n".join(lines)


def plot(loads: dict[str, Load], path: Path) -> None:
    """Draws how long each request took against when it was sent, a panel for each load."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    canvas, panels = plt.subplots(len(loads), 1, figsize=(12, 4.2 * len(loads)), squeeze=False, layout="constrained")
    for (name, load), panel in zip(loads.items(), panels[:, 0], strict=True):
        for failed, colour, label in ((False, "#2a6f97", "answered"), (True, "#c1121f", "failed")):
            drawn = [each for each in load.asked if each.failed is failed]
            panel.scatter([e.at for e in drawn], [e.seconds for e in drawn], s=9, color=colour, label=label)
        for number, (at, _) in enumerate(load.marks, start=1):
            panel.axvline(at, color="0.75", linewidth=0.8, zorder=0)
            panel.annotate(str(number), (at, 1.01), xycoords=("data", "axes fraction"), ha="center", fontsize=8)
        told = "\n".join(f"{number}  {at:.0f} s  {what}" for number, (at, what) in enumerate(load.marks, start=1))
        panel.text(1.01, 1, told, transform=panel.transAxes, va="top", fontsize=8)
        panel.set(xlabel="sent at, s", ylabel="whole request, s", yscale="log")
        panel.set_title(f"{name}: {_summary(load.asked)}", pad=18)
        panel.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        panel.legend(loc="upper left", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=110)
    plt.close(canvas)


def _summary(asked: Sequence[Asked]) -> str:
    return f"{len(asked)} requests, {sum(each.failed for each in asked)} failed"
