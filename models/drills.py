"""Exercises that are no problems: bare sums, and countdown with two numbers. They teach arithmetic at little text.

A story of a hundred tokens holds three equations; a drill of the same length holds a dozen, in the very form in which
the solutions write them. Neither drill can be a held-out problem: those are stories, or countdowns of three or four
numbers.
"""

import random
from collections.abc import Iterator

from models.problems import STEP_BREAK, Record
from models.problems.countdown import question, solve
from models.problems.record import Equation, UnsuitableError
from models.problems.story import LARGEST

_EQUATIONS = 12
_FROM_STORIES = 0.5
_INSTRUCTIONS = ("Do some sums.", "Practise your arithmetic.", "Work out some sums.")
_HIGHEST_PRODUCT_FACTOR = 12
_HIGHEST_ENDGAME = 60

Turns = list[dict[str, str]]


def sums(rng: random.Random, records: Iterator[Record]) -> Turns:
    """A dozen equations in one turn."""
    text = STEP_BREAK.join(f"{equation}." for equation in equations(rng, records))
    return [{"role": "user", "content": rng.choice(_INSTRUCTIONS)}, {"role": "assistant", "content": text}]


def equations(rng: random.Random, records: Iterator[Record]) -> list[Equation]:
    """Return a dozen equations: about half of them from real solutions, the rest drawn evenly."""
    drawn: list[Equation] = []
    while len(drawn) < _EQUATIONS:
        if rng.random() < _FROM_STORIES:
            steps = next(records)["steps"]
            drawn += [Equation(left, op, right, result) for left, op, right, result, _ in steps]
        else:
            drawn += [_any_equation(rng) for _ in range(3)]
    rng.shuffle(drawn)
    return drawn[:_EQUATIONS]


def _any_equation(rng: random.Random) -> Equation:
    op = rng.choice("+-**/")
    if op in "+-":
        low, high = sorted((rng.randint(1, LARGEST), rng.choice((rng.randint(1, 99), rng.randint(1, LARGEST)))))
        if op == "+" and low + high <= LARGEST:
            left, right = (low, high) if rng.random() < 1 / 2 else (high, low)
            return Equation(left, "+", right, low + high)
        return Equation(high, "-", low, high - low)
    factor = rng.randint(2, _HIGHEST_PRODUCT_FACTOR)
    other = rng.randint(2, min(160, LARGEST // factor))
    if op == "/":
        return Equation(other * factor, "/", factor, other)
    left, right = (factor, other) if rng.random() < 1 / 2 else (other, factor)
    return Equation(left, "*", right, factor * other)


def endgame(rng: random.Random, _: Iterator[Record]) -> Turns:
    """Countdown with two numbers: the last choice of every real one."""
    while True:
        numbers = [rng.randint(1, _HIGHEST_ENDGAME), rng.choice((rng.randint(1, 12), rng.randint(1, _HIGHEST_ENDGAME)))]
        high, low = max(numbers), min(numbers)
        results = [high + low, high - low, high * low, *([high // low] if high % low == 0 else [])]
        target = rng.choice(results)
        if not 1 <= target <= LARGEST:
            continue
        try:
            text, _answer = solve(rng, numbers, target)
        except UnsuitableError:
            continue
        rng.shuffle(numbers)
        return [
            {"role": "user", "content": question(rng, numbers, target)},
            {"role": "assistant", "content": text},
        ]
