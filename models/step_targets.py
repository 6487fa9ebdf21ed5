"""Dense labels of a solution: where in its text it stops being right, digit by digit.

A label at each step's end alone says little about what went wrong. So every digit of a result is labelled too: right
until the first wrong digit of the first wrong step, wrong from there on.
"""

import re
from collections.abc import Sequence

from models.problems import Record, step_labels

_RESULT = re.compile(r"(\d{1,6})([-+*/])(\d{1,6})=(\d{1,6})")

Span = tuple[int, int, bool]


def digit_labels(record: Record, steps: Sequence[str]) -> list[list[Span]]:
    """Label the result digits of each step, as (start, end, right so far) in characters of that step.

    Digits of a step that is wrong for another reason than its result (a wrong plan, a dead end) carry no label: what is
    wrong shows elsewhere, or only at the end.
    """
    labels = step_labels(record, steps)
    spans: list[list[Span]] = []
    sound = True
    for step, right in zip(steps, labels, strict=True):
        found = _RESULT.search(step)
        if found is None:
            spans.append([])
        elif right:
            spans.append([(at, at + 1, True) for at in range(*found.span(4))])
        elif sound:
            spans.append(_slip(found))
        else:
            spans.append([(at, at + 1, False) for at in range(*found.span(4))])
        sound = sound and right
    return spans


def _slip(found: re.Match[str]) -> list[Span]:
    """Digits of a step's result up to and after its first wrong one; none when the arithmetic is right."""
    left, op, right, written = int(found[1]), found[2], int(found[3]), found[4]
    if op == "/" and (right == 0 or left % right):
        return []
    exact = str({"+": left + right, "-": left - right, "*": left * right, "/": left // (right or 1)}[op])
    if exact == written:
        return []
    start, end = found.span(4)
    first = next((i for i, (a, b) in enumerate(zip(written, exact, strict=False)) if a != b), len(written))
    return [(start + i, start + i + 1, i < first) for i in range(end - start)]
