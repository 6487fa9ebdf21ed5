"""Dense labels of a solution: for each character of what can be checked, whether everything up to it is still right.

A label at each step's end alone says little about what went wrong, and where. A prefix of a step is right as long as
some right step begins with it, which can be decided exactly: right steps are few and can be listed.
"""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.problems import STEP_BREAK, Record, step_labels
from models.problems.countdown import moves, reachable, take, wrapped
from models.problems.expression import last_boxed

Marks = list[bool | None]

_FORMULA = re.compile(r"\d[\d+*/=-]*")
_LISTED = re.compile(r"Left: ([\d ]+)")
_PARTS = re.compile(r"(\d+)([-+*/])(\d+)=(\d+)$")


@dataclass(frozen=True, slots=True)
class Judged:
    """A question and an answer of which every step is judged.

    Attributes:
        question: The user's turn.
        steps: The answer.
        verdicts: One a step: is everything right up to its end?
        marks: One a character of each step; None where there is nothing to check.
        is_answer: Whether the steps build on each other; the lines of a drill do not, and teach no language.
    """

    question: str
    steps: tuple[str, ...]
    verdicts: tuple[bool, ...]
    marks: tuple[Marks, ...]
    is_answer: bool = True


def judged(record: Record, text: str) -> Judged:
    """Judge each step and each character of an answer to `record`."""
    steps = text.split(STEP_BREAK)
    verdicts = step_labels(record, steps)
    reader = _CountdownReader(record) if record["kind"] == "countdown" else _WordReader(record)
    marks = [_settled(reader.read(step), right) for step, right in zip(steps, verdicts, strict=True)]
    return Judged(record["question"], tuple(steps), tuple(verdicts), tuple(marks))


def prefix_marks(text: str, right: Sequence[str]) -> Marks:
    """Mark each character of `text`: does one of the `right` texts begin with everything up to it?"""
    return [any(each.startswith(text[: end + 1]) for each in right) for end in range(len(text))]


def _settled(marks: Marks, right: bool) -> Marks:
    """Keep marks that do not contradict the verdict on their step: the checker knows more spellings than are listed."""
    return [None] * len(marks) if right and False in marks else marks


class _Reader(ABC):
    """Follows a solution step by step; once a formula was wrong, every later one is."""

    def __init__(self) -> None:
        self.sound = True

    def read(self, step: str) -> Marks:
        """Mark the characters of the next step."""
        marks: Marks = [None] * len(step)
        boxed = last_boxed(step)
        if boxed is not None:
            start = step.rindex(boxed + "}")
            marks[start : start + len(boxed)] = prefix_marks(boxed, self.boxes())
            return marks
        found = _FORMULA.search(step)
        if found is None:
            self.sound = False
            return marks
        formula = found.group()
        right = list(self.formulas()) if self.sound else []
        marks[found.start() : found.end()] = prefix_marks(formula, right)
        self.sound = formula in right
        if found.end() < len(step):
            marks[found.end()] = self.sound
        if self.sound:
            self.take(formula)
        self.read_rest(step, found.end(), marks)
        return marks

    @abstractmethod
    def formulas(self) -> Iterator[str]:
        """Yield every formula that is right now."""

    @abstractmethod
    def boxes(self) -> list[str]:
        """Return the contents of a box that would be right now."""

    @abstractmethod
    def take(self, formula: str) -> None:
        """Go on from a right formula."""

    @abstractmethod
    def read_rest(self, step: str, start: int, marks: Marks) -> None:
        """Mark what follows the formula, if it is anything that can be checked."""


class _WordReader(_Reader):
    def __init__(self, record: Record) -> None:
        super().__init__()
        self.answer: str = record["answer"]
        self.open = dict(enumerate(record["steps"]))

    def formulas(self) -> Iterator[str]:
        for left, op, right, result, needs in self.open.values():
            if not any(need in self.open for need in needs):
                yield from _spellings(left, op, right, result)

    def boxes(self) -> list[str]:
        return [self.answer]

    def take(self, formula: str) -> None:
        # Of equal equations the first that is open is taken, as the checker does.
        done = next(i for i, (*equation, _) in self.open.items() if formula in _spellings(*equation))
        del self.open[done]

    def read_rest(self, step: str, start: int, marks: Marks) -> None:
        pass


class _CountdownReader(_Reader):
    def __init__(self, record: Record) -> None:
        super().__init__()
        self.target: int = record["target"]
        self.held = [(number, str(number)) for number in record["numbers"]]

    def formulas(self) -> Iterator[str]:
        state = tuple(sorted(number for number, _ in self.held))
        for (left, op, right, result), after in moves(state):
            if reachable(after, self.target):
                yield from _spellings(left, op, right, result)

    def boxes(self) -> list[str]:
        return [self.held[0][1]] if self.sound and len(self.held) == 1 else []

    def take(self, formula: str) -> None:
        left, op, right, result = _PARTS.findall(formula)[0]
        expressions = [take(self.held, int(side)) for side in (left, right)]
        self.held.append((int(result), op.join(map(wrapped, expressions))))

    def read_rest(self, step: str, start: int, marks: Marks) -> None:
        listed = _LISTED.search(step, start)
        if listed is None:
            self.sound = False
            return
        left = Counter(str(number) for number, _ in self.held)
        first, text = listed.start(1), listed[1]
        for end in range(len(text)):
            marks[first + end] = self.sound and _begins(text[: end + 1], left)
        self.sound = self.sound and Counter(text.split()) == left
        if listed.end() < len(step):
            marks[listed.end()] = self.sound


def _begins(text: str, left: Counter[str]) -> bool:
    """Tell whether a list of all of `left`, in some order, begins with `text`."""
    *whole, last = text.split(" ")
    rest = left - Counter(whole)
    return Counter(whole) <= left and (any(number.startswith(last) for number in rest) if last or rest else True)


def _spellings(left: int, op: str, right: int, result: int) -> tuple[str, ...]:
    formula = f"{left}{op}{right}={result}"
    return (formula, f"{right}{op}{left}={result}") if op in "+*" else (formula,)
