"""Exercises for the reward model that are no answers: a dozen lines, each right or wrong by itself.

An answer of a hundred tokens says once where it goes wrong; a drill of that length says a dozen times whether a sum is
true, or whether a target can still be reached from the numbers that are left.
"""

import random
from collections.abc import Iterator

from models.drills import equations
from models.mistakes import slip
from models.problems import Record
from models.problems.countdown import moves, reachable
from models.problems.record import Equation
from models.step_targets import Judged, Marks, prefix_marks

_LINES = 12
_WRONG_SHARE = 0.5
_THREE_SHARE = 0.3
_HIGHEST_LEFT = {2: 60, 3: 12}
_CHECK_SUMS = ("Check some sums.", "Check this arithmetic.", "Which of these sums are true?")


def judged_sums(rng: random.Random, records: Iterator[Record]) -> Judged:
    """A dozen equations, about half of them with a false result."""
    lines = [_sum(rng, equation) for equation in equations(rng, records)]
    return _drill(rng.choice(_CHECK_SUMS), lines)


def _sum(rng: random.Random, equation: Equation) -> tuple[str, Marks]:
    written = slip(rng, equation.result) if rng.random() < _WRONG_SHARE else equation.result
    head = f"{equation.left}{equation.op}{equation.right}="
    result = str(written)
    marks: Marks = [None] * len(head)
    marks += prefix_marks(f"{result}.", [f"{equation.result}."])
    return f"{head}{result}.", marks


def judged_states(rng: random.Random, records: Iterator[Record]) -> Judged:
    """A countdown's target and a dozen sets of numbers that might be left: can it be reached from each?"""
    target = next(records)["target"]
    lines = [_state(rng, target) for _ in range(_LINES)]
    return _drill(f"From which of these numbers can {target} still be reached, using each of them exactly once?", lines)


def _state(rng: random.Random, target: int) -> tuple[str, Marks]:
    size = 3 if rng.random() < _THREE_SHARE else 2
    wanted = rng.random() < 1 / 2
    # A target that no draw hits is left unreachable: the label is always the true one.
    for _ in range(30):
        numbers = _near(rng, target, size)
        if reachable(tuple(sorted(numbers)), target) == wanted:
            break
    text = f"Left: {' '.join(map(str, numbers))}."
    return text, [*[None] * (len(text) - 1), reachable(tuple(sorted(numbers)), target)]


def _near(rng: random.Random, target: int, size: int) -> list[int]:
    """Draw numbers that often reach the target: the last one completes a random expression, or nearly does."""
    numbers = [rng.randint(1, _HIGHEST_LEFT[size]) for _ in range(size - 1)]
    value = numbers[0]
    if size > 2:
        value = rng.choice([after[0] for _, after in moves(tuple(sorted(numbers)))])
    last = rng.choice((abs(target - value), target + value, target * value if value else 0))
    if value and target % value == 0:
        last = rng.choice((last, target // value))
    if rng.random() < 1 / 2:
        last += rng.choice((-10, -2, -1, 1, 2, 10))
    numbers.append(last if 0 <= last <= 400 else rng.randint(1, 60))
    rng.shuffle(numbers)
    return numbers


def _drill(question: str, lines: list[tuple[str, Marks]]) -> Judged:
    texts, marks = zip(*lines, strict=True)
    return Judged(question, texts, tuple(bool(each[-1]) for each in marks), marks, is_answer=False)
