"""Figures as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from evals.figures import Figures
from evals.statistics import paired_difference
from evals.suites import GREEDY
from evals.verdicts import Verdict
from mcts.votes import VOTES


def by_run(figures: Sequence[Figures]) -> str:
    """One part per kind of problems, one line per run and vote."""
    return "\n\n".join(_by_run(rows) for rows in kinds(figures))


def kinds(figures: Sequence[Figures]) -> list[list[Figures]]:
    """The figures of each kind of problems, in the order in which the kinds come."""
    return [[row for row in figures if row.kind == kind] for kind in dict.fromkeys(row.kind for row in figures)]


def _title(rows: Sequence[Figures]) -> str:
    return f"### {rows[0].kind} ({rows[0].questions} problems)"


def _by_run(rows: Sequence[Figures]) -> str:
    greedy = next((row for row in rows if row.run == GREEDY), None)
    over = (" over greedy |", " :---: |") if greedy else ("", "")
    lines = [
        _title(rows),
        "",
        f"| run | vote | accuracy | 95% interval |{over[0]} tokens | engine calls | seconds |",
        f"| --- | --- | ---: | :---: |{over[1]} ---: | ---: | ---: |",
    ]
    for row in rows:
        gain = f" {_over(row, greedy)} |" if greedy else ""
        lines.append(
            f"| {_failed(row) if row.own else ''} | {_vote(row.vote)} | {row.accuracy:.1%} | {_interval(row)} |{gain} "
            + (f"{row.tokens:.0f} | {row.engine_calls:.1f} | {row.seconds:.2f} |" if row.own else "| | |")
        )
    return "\n".join(lines)


def _over(row: Figures, greedy: Figures) -> str:
    if row is greedy:
        return ""
    gain = paired_difference(row.right, greedy.right)
    return f"{100 * gain.mean:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"


def _failed(row: Figures) -> str:
    return row.run + (f" ({row.errors} errors)" if row.errors else "")


def _vote(vote: str) -> str:
    return vote.replace("_", " ")


def _interval(row: Figures) -> str:
    return f"{row.low:.1%} to {row.high:.1%}"


def by_strategy(figures: Sequence[Figures]) -> str:
    """One part per kind of problems, one line per strategy, reward and budget, one column per vote."""
    return "\n\n".join(_by_strategy(rows) for rows in kinds(figures))


def _by_strategy(rows: Sequence[Figures]) -> str:
    votes = " | ".join(map(_vote, VOTES))
    lines = [
        _title(rows),
        "",
        f"| strategy | reward | budget | accuracy | {votes} | tokens | engine calls | seconds |",
        f"| --- | --- | ---: | ---: | {' | '.join('---:' for _ in VOTES)} | ---: | ---: | ---: |",
    ]
    before = ("", "")
    for _, group in groupby(rows, key=lambda row: row.run):
        one = list(group)
        first = one[0]
        named = (_name(first), first.reward or "")
        shown = ("", "") if named == before else named
        before = named
        cells = [next((_cell(row) for row in one if row.vote == vote), "") for vote in VOTES]
        errors = f" ({first.errors} errors)" if first.errors else ""
        lines.append(
            f"| {shown[0]} | {shown[1]} | {first.budget or ''}{errors} | {_brief(first)} | {' | '.join(cells)} "
            f"| {first.tokens:.0f} | {first.engine_calls:.1f} | {first.seconds:.2f} |"
        )
    return "\n".join(lines)


def _name(row: Figures) -> str:
    return row.run if not row.budget else row.label


def _brief(row: Figures) -> str:
    return f"{100 * row.accuracy:.0f}% ({100 * row.low:.0f} to {100 * row.high:.0f})"


def _cell(row: Figures) -> str:
    return f"**{_brief(row)}**" if row.own else _brief(row)


def by_verdict(verdicts: Sequence[Verdict]) -> str:
    """One line per claim and kind of problems."""
    lines = ["| claim | problems | holds? | difference, points | compared |", "| --- | --- | --- | :---: | --- |"]
    for one in verdicts:
        held = "**yes**" if one.holds else "**no**"
        sure = "" if one.certain else ", within chance"
        gap = one.difference
        points = f"{100 * gap.mean:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
        lines.append(f"| {one.claim} | {one.questions} {one.kind} | {held}{sure} | {points} | {one.note} |")
    return "\n".join(lines)
