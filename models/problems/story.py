"""The notebook in which a word problem is written: its people, its sentences, and the arithmetic done so far."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.problems.record import Equation, UnsuitableError

LARGEST = 999

_SHE = (
    "Anna",
    "Mia",
    "Lily",
    "Emma",
    "Sara",
    "Nina",
    "Olga",
    "Ruth",
    "Maria",
    "Zoe",
    "Priya",
    "Aisha",
    "Mei",
    "Clara",
    "Ines",
)
_HE = (
    "Tom",
    "Ben",
    "Sam",
    "Leo",
    "Max",
    "Omar",
    "Ivan",
    "Noah",
    "Paul",
    "Juan",
    "Ravi",
    "Hugo",
    "Finn",
    "Kenji",
    "Karl",
)


@dataclass(frozen=True, slots=True)
class Value:
    """A number of the story.

    Attributes:
        amount: The number, 1 to `LARGEST`.
        source: Index of the equation that gave it, or None when the text states it.
    """

    amount: int
    source: int | None = None

    def __str__(self) -> str:
        return str(self.amount)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a story, with the words that stand for them."""

    name: str
    he: str
    his: str


@dataclass(eq=False, slots=True)
class Story:
    """One word problem in the making.

    Attributes:
        rng: Source of every choice.
        equations: Arithmetic so far, in solution order.
        steps: The same as solution text.
    """

    rng: random.Random
    equations: list[Equation] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def draw(self, low: int, high: int) -> Value:
        """Draw a number that the text will state."""
        return Value(self.rng.randint(low, high))

    def pick(self, *options: str) -> str:
        """Choose one wording."""
        return self.rng.choice(options)

    def people(self, count: int) -> list[Person]:
        """Choose `count` different people."""
        women = [Person(name, "she", "her") for name in _SHE]
        return self.rng.sample([*women, *(Person(name, "he", "his") for name in _HE)], count)

    def shuffled(self, sentences: Sequence[str]) -> list[str]:
        """Return sentences that may stand in any order, in some order."""
        return self.rng.sample(sentences, len(sentences))

    def divisor(self, value: Value, low: int = 2, high: int = 9) -> Value:
        """Draw a number that divides `value` exactly and leaves at least 2."""
        fitting = [n for n in range(low, high + 1) if value.amount % n == 0 and value.amount // n > 1]
        if not fitting:
            raise UnsuitableError
        return Value(self.rng.choice(fitting))

    def work(self, label: str, left: Value, op: str, right: Value) -> Value:
        """Add one solution step, `label: left op right = result.`; returns its result.

        Raises:
            UnsuitableError: The result is no whole number from 1 to `LARGEST`.
        """
        a, b = left.amount, right.amount
        if op == "/" and a % b:
            raise UnsuitableError
        result = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[op]
        if not 0 < result <= LARGEST:
            raise UnsuitableError
        needs = tuple(sorted({v.source for v in (left, right) if v.source is not None}))
        equation = Equation(a, op, b, result, needs)
        self.equations.append(equation)
        self.steps.append(f"{label[0].upper()}{label[1:]}: {equation}.")
        return Value(result, len(self.equations) - 1)


def capital(text: str) -> str:
    """Return `text` with its first letter in upper case."""
    return text[:1].upper() + text[1:]
