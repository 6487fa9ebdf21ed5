"""Answers with mistakes, made up without a model: slips of arithmetic, misread stories, plays gone astray.

A language model's own answers show which mistakes it makes, but sampling them costs time and they are soon learned by
heart. These cost nothing and never repeat. Nothing here says what is right: `step_labels` does, for any text.
"""

import random
import re
from collections.abc import Iterable, Iterator

from models.problems import STEP_BREAK, Record
from models.problems.countdown import wander
from models.problems.record import UnsuitableError

_GOLD_SHARE = 0.25
_WANDERING_SHARE = 0.8
_SLIPPING_SHARE = 0.25
_STOPPING_SHARE = 0.5
_CONSISTENT_SHARE = 0.6
_NUMBER = re.compile(r"\d+")
_EQUATION = re.compile(r"\d+[-+*/]\d+=\d+")
_LEFT_EQUATION = re.compile(r"=(\d+)(\. Left: (?:\d+ )*)(\d+)\.")


def made_up_answers(rng: random.Random, records: Iterable[Record]) -> Iterator[tuple[Record, str]]:
    """Pair each problem with its gold solution now and then, and with a careless answer otherwise."""
    for record in records:
        yield record, record["solution"] if rng.random() < _GOLD_SHARE else careless_answer(rng, record)


def careless_answer(rng: random.Random, record: Record) -> str:
    """Answer a problem of either family carelessly: wrong most of the time, and perhaps not to the end."""
    return {"word": careless_word, "countdown": careless_countdown}[record["kind"]](rng, record)


def slip(rng: random.Random, number: int) -> int:
    """Return another number that a careless reckoner would write for `number`: a carry or a digit forgotten."""
    while True:
        wrong = abs(_slipped(rng, number))
        if wrong != number:
            return wrong


def _slipped(rng: random.Random, number: int) -> int:
    digits = str(number)
    place: int = 10 ** rng.randrange(len(digits))
    kind = rng.choices(("carry", "digit", "length", "far"), (0.55, 0.15, 0.15, 0.15))[0]
    if kind == "carry":
        return number + rng.choice((-1, 1)) * place
    if kind == "digit":
        return number + rng.randint(-9, 9) * place
    if kind == "length":
        at = rng.randrange(len(digits))
        return int(digits[:at] + rng.choice(("", digits[at] * 2)) + digits[at + 1 :] or "0")
    return number + rng.randint(-60, 60)


def careless_word(rng: random.Random, record: Record) -> str:
    """Solve a word problem with one mistake, which the later steps build on: a slip, a misreading, a step left out."""
    lines = record["solution"].split(STEP_BREAK)
    equations = record["steps"]
    at = rng.randrange(len(equations))
    mistake = rng.choices((_slip_result, _misread, _leave_out), (0.6, 0.3, 0.1))[0]
    results: dict[int, int] = {}
    written: list[str] = []
    for index, (left, op, right, _, needs) in enumerate(equations):
        task = _carried(equations, results, needs, left, op, right)
        work = mistake(rng, record, *task) if index == at else (*task, _reckon(*task))
        results[index] = work[3]
        if index != at or mistake is not _leave_out:
            written.append(_EQUATION.sub("{}{}{}={}".format(*work), lines[index]))
    written.append(f"The answer is \\boxed{{{results[len(equations) - 1]}}}")
    return _perhaps_cut(rng, written, at)


Worked = tuple[int, str, int, int]


def _slip_result(rng: random.Random, _: Record, left: int, op: str, right: int) -> Worked:
    return left, op, right, slip(rng, _reckon(left, op, right))


def _misread(rng: random.Random, record: Record, left: int, op: str, right: int) -> Worked:
    if rng.random() < 1 / 2:
        numbers = [int(number) for number in _NUMBER.findall(record["question"])]
        numbers += [result for *_, result, _ in record["steps"]]
        if rng.random() < 1 / 2:
            left = rng.choice(numbers)
        else:
            right = rng.choice(numbers)
    else:
        op = rng.choice("+-*" if op != "+" else "-*/")
    return left, op, right, _reckon(left, op, right)


def _leave_out(_: random.Random, __: Record, left: int, op: str, right: int) -> Worked:
    return left, op, right, left


def _carried(
    equations: list[tuple[int, str, int, int, list[int]]],
    results: dict[int, int],
    needs: list[int],
    left: int,
    op: str,
    right: int,
) -> tuple[int, str, int]:
    """Put what was written for earlier steps in the place of their true results."""
    for need in needs:
        true = equations[need][3]
        if left == true:
            left = results[need]
        elif right == true:
            right = results[need]
    return left, op, right


def _reckon(left: int, op: str, right: int) -> int:
    """Work out `left op right`, with some whole number even where the game knows none."""
    if op == "/":
        return left // max(1, right)
    return {"+": left + right, "-": abs(left - right), "*": left * right}[op]


def _perhaps_cut(rng: random.Random, steps: list[str], at: int) -> str:
    return STEP_BREAK.join(steps[: at + 1] if rng.random() < _STOPPING_SHARE else steps)


def careless_countdown(rng: random.Random, record: Record) -> str:
    """Play countdown with moves that may lead nowhere, and now and then with a false result or a false list."""
    text = record["solution"]
    if rng.random() < _WANDERING_SHARE:
        try:
            text = wander(rng, record["numbers"], record["target"])
        except UnsuitableError:
            pass
        else:
            if rng.random() > _SLIPPING_SHARE:
                return text
    return _miscounted(rng, text)


def _miscounted(rng: random.Random, text: str) -> str:
    """Change the result of one step, in its equation and its list of what is left, or one number of it anywhere."""
    steps = text.split(STEP_BREAK)
    at = rng.randrange(len(steps))
    found = _LEFT_EQUATION.search(steps[at])
    if found is not None and rng.random() < _CONSISTENT_SHARE:
        wrong = slip(rng, int(found[1]))
        steps[at] = f"{steps[at][: found.start()]}={wrong}{found[2]}{wrong}."
    else:
        start, end = rng.choice([match.span() for match in _NUMBER.finditer(steps[at])])
        steps[at] = f"{steps[at][:start]}{slip(rng, int(steps[at][start:end]))}{steps[at][end:]}"
    return _perhaps_cut(rng, steps, at)
