r"""Decide exactly whether a completion solves a problem, and which of its steps are right.

Rules:
    word: the last `\boxed{…}` holds the whole number that is the answer (spaces, `$` and thousands commas are ignored).
    countdown: the last `\boxed{…}` holds an expression that uses every given number exactly once, no other number, and
        whose exact value is the target. Only the expression counts: several expressions can be right.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from models.problems.countdown import reachable
from models.problems.expression import evaluate, last_boxed
from models.problems.record import STEP_BREAK, Equation, Record

_EQUATION = re.compile(r"(?<![-+*/=\d])(\d{1,6})([-+*/])(\d{1,6})=(\d{1,6})(?![-+*/=\d])")
_SPACED_SIGN = re.compile(r" ?([-+*/=]) ?")
_LEFT = re.compile(r"Left: (\d{1,6}(?: \d{1,6}){0,3})\.")


def check(record: Record, completion_text: str) -> bool:
    """Tell whether `completion_text` solves `record`, by the rules above. Never raises on any text."""
    boxed = last_boxed(completion_text)
    if boxed is None:
        return False
    if record["kind"] == "countdown":
        return _solves_countdown(record, boxed)
    plain = boxed.replace("\\$", "").replace("$", "").replace(",", "").strip()
    return plain.isascii() and plain.isdigit() and (plain.lstrip("0") or "0") == record["answer"]


def _solves_countdown(record: Record, boxed: str) -> bool:
    read = evaluate(boxed)
    return read is not None and read[0] == record["target"] and sorted(read[1]) == sorted(record["numbers"])


def step_labels(record: Record, steps: Sequence[str]) -> list[bool]:
    """Label each step of a (perhaps unfinished) solution: is everything right up to and including it?

    A step with a box is right when `check` accepts the text up to it, whatever stood before: the label of a last
    step is the verdict on the whole solution. Any other step is right when all before it are and
    word: it is the correct arithmetic of one quantity that this problem needs, not yet computed, its operands known;
    countdown: it combines two numbers that are left, correctly, lists what is left now, and the target is still
    reachable from there (decided by exhaustive search, which is exact where rollouts would estimate).
    """
    texts = accumulate(steps, lambda done, step: done + STEP_BREAK + step)
    judge = _CountdownJudge(record) if record["kind"] == "countdown" else _WordJudge(record)
    labels = []
    for step, text in zip(steps, texts, strict=True):
        labels.append(check(record, text) if "\\boxed{" in step else judge.accepts(step))
    return labels


def read_equation(step: str) -> Equation | None:
    """Return the one equation in `step`, or None when there is none, several, or its arithmetic is wrong."""
    found = _EQUATION.findall(_SPACED_SIGN.sub(r"\1", step))
    if len(found) != 1:
        return None
    left, op, right, result = int(found[0][0]), found[0][1], int(found[0][2]), int(found[0][3])
    exact = {
        "+": left + right == result,
        "-": left - right == result,
        "*": left * right == result,
        "/": right != 0 and right * result == left,
    }[op]
    return Equation(left, op, right, result) if exact else None


class _WordJudge:
    """Follows a word solution; once a step is wrong, every later one is."""

    def __init__(self, record: Record) -> None:
        self.open = {
            index: Equation(left, op, right, result, tuple(needs))
            for index, (left, op, right, result, needs) in enumerate(record["steps"])
        }
        self.sound = True

    def accepts(self, step: str) -> bool:
        """Take the next step and label it."""
        index = self._match(read_equation(step)) if self.sound else None
        if index is not None:
            del self.open[index]
        self.sound = index is not None
        return self.sound

    def _match(self, written: Equation | None) -> int | None:
        if written is None:
            return None
        for index, wanted in self.open.items():
            if wanted.key() == written.key() and not any(need in self.open for need in wanted.needs):
                return index
        return None


class _CountdownJudge:
    """Follows a countdown solution; once a step is wrong or a dead end, every later one is."""

    def __init__(self, record: Record) -> None:
        self.left = Counter[int](record["numbers"])
        self.target: int = record["target"]
        self.sound = True

    def accepts(self, step: str) -> bool:
        """Take the next step and label it."""
        self.sound = self.sound and self._combine(step)
        return self.sound

    def _combine(self, step: str) -> bool:
        equation, listed = read_equation(step), _LEFT.search(step)
        if equation is None or listed is None:
            return False
        used = Counter((equation.left, equation.right))
        if not used <= self.left:
            return False
        self.left = self.left - used + Counter((equation.result,))
        if Counter(map(int, listed[1].split())) != self.left:
            return False
        return reachable(tuple(sorted(self.left.elements())), self.target)
