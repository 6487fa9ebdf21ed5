"""The exact value of a small arithmetic expression: whole numbers, decimals, fractions, + − × ÷ and parentheses."""

from __future__ import annotations

import re
from fractions import Fraction

LONGEST = 200
"""Characters of an expression; bounds both time and the size of the numbers."""

DEEPEST = 40
"""Nested parentheses and signs."""

_TOKEN = re.compile(r"\s*(?:([0-9]+(?:\.[0-9]*)?|\.[0-9]+)|([-+*/()]))")


class _NotArithmetic(Exception):
    """The text is something else."""


def evaluate(text: str) -> Fraction | None:
    """The value of ``text``, or None when it is no such expression, too long, too deep, or divides by zero."""
    if len(text) > LONGEST or not text.isascii():
        return None
    try:
        parser = _Parser(_tokens(text))
        value = parser.sum()
        return value if parser.peek() == "" else None
    except (_NotArithmetic, ZeroDivisionError):
        return None


def _tokens(text: str) -> list[str]:
    tokens, at, text = [], 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _NotArithmetic
        tokens.append(found[1] or found[2])
        at = found.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens; depth is counted so that hostile nesting cannot exhaust the stack."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0

    def peek(self) -> str:
        """The next token, empty at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        """The next token, which is consumed."""
        token = self.peek()
        self.at += 1
        return token

    def sum(self) -> Fraction:
        """Terms joined by + and −."""
        value = self.product()
        while self.peek() in {"+", "-"}:
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self) -> Fraction:
        """Factors joined by × and ÷."""
        value = self.factor()
        while self.peek() in {"*", "/"}:
            value = value * self.factor() if self.take() == "*" else value / self.factor()
        return value

    def factor(self) -> Fraction:
        """A number, a signed factor or a parenthesis."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise _NotArithmetic
        piece = self.take()
        if piece in {"+", "-"}:
            value = self.factor() if piece == "+" else -self.factor()
        elif piece == "(":
            value = self.sum()
            if self.take() != ")":
                raise _NotArithmetic
        else:
            value = _number(piece)
        self.depth -= 1
        return value


def _number(piece: str) -> Fraction:
    if not piece or piece in "*/)":
        raise _NotArithmetic
    return Fraction(piece)
