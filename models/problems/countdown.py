"""Countdown: reach a target from three or four numbers, each used exactly once.

The rule of the game as generated: whole numbers, results never negative, division only when exact. A solution combines
two numbers at a time and says which are left. `reachable` decides exactly whether a state can still reach the target.
"""

import random
from collections.abc import Callable, Iterator
from functools import lru_cache

from models.problems.record import STEP_BREAK, Equation, Record, UnsuitableError

State = tuple[int, ...]
Move = tuple[int, str, int, int]

LARGEST = 400
FOUR_NUMBER_SHARE = 0.35
HIGHEST_OF_THREE = 20
HIGHEST_OF_FOUR = 12
LOWEST_TARGET, HIGHEST_TARGET = 10, 100
LEAST_LUCK = 0.15
_PATIENCE = 200

_QUESTIONS = (
    "Use the numbers {numbers}, each exactly once, with + - * / to make {target}.",
    "Reach {target} from {numbers}. Use every number exactly once.",
    "Make {target} using each of the numbers {numbers} exactly once and the operations + - * /.",
    "Countdown: the numbers are {numbers} and the target is {target}. Use each number exactly once.",
    (
        "Your target is {target}. You have the numbers {numbers}."
        " How can you get there if each number is used exactly once?"
    ),
    (
        "Combine {numbers} with addition, subtraction, multiplication and division to get {target}."
        " Each number must be used exactly once."
    ),
    "Find a way to write {target} with the numbers {numbers}, using each of them exactly once.",
    "How do you get {target} out of {numbers} if every number has to be used exactly once?",
)


def moves(state: State) -> Iterator[tuple[Move, State]]:
    """Yield every `(left, op, right, result)` that the rule allows in `state`, with the sorted state after it."""
    for i, first in enumerate(state):
        for j in range(i + 1, len(state)):
            high, low = max(first, state[j]), min(first, state[j])
            rest = state[:i] + state[i + 1 : j] + state[j + 1 :]
            for op, result in _results(high, low):
                yield (high, op, low, result), tuple(sorted((*rest, result)))


def _results(high: int, low: int) -> Iterator[tuple[str, int]]:
    yield "+", high + low
    yield "-", high - low
    yield "*", high * low
    if low and high % low == 0:
        yield "/", high // low


@lru_cache(maxsize=500_000)
def reachable(state: State, target: int) -> bool:
    """Decide whether the sorted `state` (1 to 4 numbers) can reach `target` using every number in it."""
    if len(state) == 1:
        return state[0] == target
    return any(reachable(after, target) for _, after in moves(state))


@lru_cache(maxsize=500_000)
def luck(state: State, target: int) -> float:
    """Return the chance, 0 to 1, that random moves solve the sorted `state` if the very last one is chosen well."""
    if len(state) <= 2:
        return float(reachable(state, target))
    chances = [luck(after, target) for _, after in moves(state)]
    return sum(chances) / len(chances)


def make_countdown(rng: random.Random) -> tuple[str, Record]:
    """Draw one problem with a solution; returns what identifies it (numbers and target) and its record.

    The solution takes at each step a random move among those that keep the target reachable.

    Raises:
        UnsuitableError: No fitting problem turned up.
    """
    count, highest = (4, HIGHEST_OF_FOUR) if rng.random() < FOUR_NUMBER_SHARE else (3, HIGHEST_OF_THREE)
    numbers, target = _draw(rng, count, highest)
    solution, answer = solve(rng, numbers, target)
    record = {
        "kind": "countdown",
        "question": question(rng, numbers, target),
        "answer": answer,
        "solution": solution,
        "numbers": numbers,
        "target": target,
    }
    return f"countdown {sorted(numbers)} {target}", record


def question(rng: random.Random, numbers: list[int], target: int) -> str:
    """Word a problem of two or more numbers in one of many ways."""
    listed = ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"
    return rng.choice(_QUESTIONS).format(numbers=listed, target=target)


def _draw(rng: random.Random, count: int, highest: int) -> tuple[list[int], int]:
    """Draw until the problem is forgiving enough for a small model: several first moves must leave a way."""
    for _ in range(_PATIENCE):
        numbers = [rng.randint(1, highest) for _ in range(count)]
        state = tuple(sorted(numbers))
        target = _draw_target(rng, state)
        if target is not None and luck(state, target) >= LEAST_LUCK:
            return numbers, target
    raise UnsuitableError


def _draw_target(rng: random.Random, state: State) -> int | None:
    numbers = set(state)
    while len(state) > 1:
        _, state = rng.choice(list(moves(state)))
    return state[0] if LOWEST_TARGET <= state[0] <= HIGHEST_TARGET and state[0] not in numbers else None


def solve(rng: random.Random, numbers: list[int], target: int) -> tuple[str, str]:
    """Write out a random solution: the whole text and the boxed expression.

    Raises:
        UnsuitableError: No solution exists, or the walk meets a value above `LARGEST`.
    """
    return _play(numbers, lambda state: _good_move(rng, state, target))


def wander(rng: random.Random, numbers: list[int], target: int) -> str:
    """Write out a play whose arithmetic is right and whose moves are good or blind by the toss of a coin.

    Raises:
        UnsuitableError: The play meets no move below `LARGEST`.
    """

    def either(state: State) -> Move:
        if rng.random() < 1 / 2 and reachable(state, target):
            return _good_move(rng, state, target)
        return _any_move(rng, state)

    return _play(numbers, either)[0]


def _play(numbers: list[int], choose: Callable[[State], Move]) -> tuple[str, str]:
    held = [(number, str(number)) for number in numbers]
    steps = []
    while len(held) > 1:
        move = choose(tuple(sorted(value for value, _ in held)))
        left, right = take(held, move[0]), take(held, move[2])
        expression = f"{wrapped(left)}{move[1]}{wrapped(right)}"
        held.append((move[3], expression))
        steps.append(f"{Equation(*move)}. Left: {' '.join(str(value) for value, _ in held)}.")
    answer = held[0][1]
    steps.append(f"The answer is \\boxed{{{answer}}}")
    return STEP_BREAK.join(steps), answer


def _good_move(rng: random.Random, state: State, target: int) -> Move:
    good = [move for move, after in moves(state) if move[3] <= LARGEST and reachable(after, target)]
    if not good:
        raise UnsuitableError
    return rng.choice(good)


def _any_move(rng: random.Random, state: State) -> Move:
    small = [move for move, _ in moves(state) if move[3] <= LARGEST]
    if not small:
        raise UnsuitableError
    return rng.choice(small)


def take(held: list[tuple[int, str]], value: int) -> str:
    """Take the first number of that value out of `held`; returns its expression."""
    index = next(i for i, (number, _) in enumerate(held) if number == value)
    return held.pop(index)[1]


def wrapped(expression: str) -> str:
    """Return `expression` as it stands inside a larger one."""
    return expression if expression.isdigit() else f"({expression})"
