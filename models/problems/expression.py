r"""Read `\boxed{…}` and arithmetic expressions out of untrusted text, in linear time and without eval()."""

from fractions import Fraction

LONGEST = 200
DEEPEST = 16
_BOX = "\\boxed{"
_WRITTEN_ALIKE = {"\\times": "*", "\\cdot": "*", "\\div": "/", "×": "*", "·": "*", "÷": "/", "−": "-", "$": ""}


def last_boxed(text: str) -> str | None:
    r"""Return what stands in the last `\boxed{…}` of `text`, or None if there is none, it is open or too long."""
    start = text.rfind(_BOX)
    if start < 0:
        return None
    start += len(_BOX)
    depth = 1
    for index in range(start, min(len(text), start + LONGEST)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return text[start:index]
    return None


def evaluate(expression: str) -> tuple[Fraction, list[int]] | None:
    """Work out `expression` exactly; returns its value and the numbers in it, or None if it is no expression.

    Allowed are whole numbers, `+ - * /` (also `× ÷ − ·` and their LaTeX names), parentheses and spaces. No signs,
    no powers, no implied products. Division by zero is no expression.
    """
    for written, meant in _WRITTEN_ALIKE.items():
        expression = expression.replace(written, meant)
    if len(expression) > LONGEST:
        return None
    reader = _Reader(expression)
    try:
        value = reader.sum(0)
    except (ValueError, ZeroDivisionError):
        return None
    return (value, reader.numbers) if reader.peek() == "" else None


class _Reader:
    """Recursive descent over one short expression; raises ValueError where it is malformed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.numbers: list[int] = []

    def peek(self) -> str:
        """Return the next character that is no space, or nothing at the end."""
        while self.at < len(self.text) and self.text[self.at] == " ":
            self.at += 1
        return self.text[self.at : self.at + 1]

    def sum(self, depth: int) -> Fraction:
        """Read products joined by + and -."""
        value = self.product(depth)
        while (op := self.peek()) and op in "+-":
            self.at += 1
            other = self.product(depth)
            value = value + other if op == "+" else value - other
        return value

    def product(self, depth: int) -> Fraction:
        """Read factors joined by * and /."""
        value = self.factor(depth)
        while (op := self.peek()) and op in "*/":
            self.at += 1
            other = self.factor(depth)
            value = value * other if op == "*" else value / other
        return value

    def factor(self, depth: int) -> Fraction:
        """Read a whole number or a parenthesis."""
        if self.peek() == "(":
            if depth >= DEEPEST:
                raise ValueError("nested too deep")
            self.at += 1
            value = self.sum(depth + 1)
            if self.peek() != ")":
                raise ValueError("parenthesis left open")
            self.at += 1
            return value
        start = self.at
        while self.at < len(self.text) and self.text[self.at] in "0123456789":
            self.at += 1
        number = int(self.text[start : self.at])
        self.numbers.append(number)
        return Fraction(number)
