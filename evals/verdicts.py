"""What was claimed beforehand, held against the figures: the difference with its interval, and whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evals.figures import Figures
from evals.statistics import Difference, paired_difference

ABOVE_GREEDY = 0.20
"""Least advantage over greedy decoding that is claimed for tree search by the process reward model, in shares."""

QUARTER = 0.25
"""Most generated tokens, relative to the yardstick's, with which ``uct`` or ``beam`` is claimed to be as accurate."""

QUARTER_CLAIM = "a quarter of the tokens is enough for the accuracy of a weighted vote over 64 samples"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim on one kind of problems.

    Args:
        kind: The problems'.
        questions: How many.
        claim: What was claimed, as a clause.
        holds: Whether the figures satisfy it.
        certain: Whether the whole 95% interval is on that side of the bound.
        difference: What was measured, in shares.
        note: What was compared.
    """

    kind: str
    questions: int
    claim: str
    holds: bool
    certain: bool
    difference: Difference
    note: str


def main_verdicts(figures: Sequence[Figures]) -> list[Verdict]:
    """The claims about tree search by the process reward model; none for kinds where a run lacks or failed."""
    verdicts = []
    for kind in dict.fromkeys(row.kind for row in figures):
        rows = [row for row in figures if row.kind == kind and row.own and not row.failed]
        tree, greedy, best = (_first(rows, start) for start in ("uct prm", "greedy", "best of"))
        if tree is not None and greedy is not None:
            claim = f"tree search is at least {100 * ABOVE_GREEDY:.0f} points above greedy"
            verdicts.append(_verdict(kind, claim, tree, greedy, ABOVE_GREEDY))
        if tree is not None and best is not None:
            claim = "tree search is not below best-of-N at equal tokens"
            verdicts.append(_verdict(kind, claim, tree, best, 0.0))
    return verdicts


def _first(rows: Sequence[Figures], start: str) -> Figures | None:
    return next((row for row in rows if row.run.startswith(start)), None)


def _verdict(kind: str, claim: str, ours: Figures, theirs: Figures, bound: float) -> Verdict:
    difference = paired_difference(ours.right, theirs.right)
    holds = difference.mean >= bound - 1e-12  # 60 of 300 must not fall short of 0.2 by rounding
    certain = difference.low >= bound if holds else difference.high < bound
    ratio = f"{ours.tokens / theirs.tokens:.2f} : 1" if theirs.tokens else f"{ours.tokens:.0f} : 0"
    note = f"{described(ours)} against {described(theirs)}, tokens {ratio}"
    return Verdict(kind, len(ours.right), claim, holds, certain, difference, note)


def quarter_verdicts(figures: Sequence[Figures]) -> list[Verdict]:
    """Whether a quarter of the tokens of ``weighted_best_of_n`` with 64 samples is enough for ``uct`` or ``beam``.

    Of all configurations by the process reward model with at most ``QUARTER`` of the tokens the most accurate one is
    held against it (ties: the cheaper one), under the vote that its search itself takes. That it was picked among
    several after the fact makes it look a little better than it is, which is why the note says among how many.
    """
    verdicts = []
    for kind in dict.fromkeys(row.kind for row in figures):
        rows = [row for row in figures if row.kind == kind and row.own and row.reward == "prm" and not row.failed]
        yardstick = next((row for row in rows if row.label == "weighted_best_of_n" and row.budget == 64), None)
        if yardstick is None:
            continue
        cheap = [row for row in rows if _is_tree(row) and row.tokens <= QUARTER * yardstick.tokens]
        best = max(cheap, key=lambda row: (row.accuracy, -row.tokens), default=None)
        if best is not None:
            found = _verdict(kind, QUARTER_CLAIM, best, yardstick, 0.0)
            note = f"{found.note}; the best of {len(cheap)} configurations that cheap"
            verdicts.append(replace(found, note=note))
        elif trees := [row for row in rows if _is_tree(row)]:
            cheapest = _verdict(kind, QUARTER_CLAIM, min(trees, key=lambda row: row.tokens), yardstick, 0.0)
            note = f"{cheapest.note}; no configuration was cheap enough, this is the cheapest"
            verdicts.append(replace(cheapest, holds=False, certain=True, note=note))
    return verdicts


def _is_tree(row: Figures) -> bool:
    return row.label.split()[0] in {"uct", "beam"}


def described(row: Figures) -> str:
    """A run with its accuracy and interval."""
    return f"`{row.run}` {row.accuracy:.1%} ({row.low:.1%} to {row.high:.1%})"
