"""The shipped ``AnswerReader``: what a finished text answers, and which answers are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcts.errors import StartupError
from reward.equivalence import Key, key
from reward.extraction import DEFAULT_RULES, RULES, extract


@dataclass(frozen=True, slots=True)
class StandardAnswers:
    """Extracts by rules and groups by exact value or normalised text. Pure computation: nothing here can hang.

    Args:
        rules: Names of extraction rules, in the order they are tried.

    Raises:
        StartupError: A rule is unknown.
    """

    rules: tuple[str, ...] = DEFAULT_RULES

    def __post_init__(self) -> None:
        unknown = [rule for rule in self.rules if rule not in RULES]
        if unknown:
            raise StartupError(f"Unknown answer rule {unknown[0]!r}. Known: {', '.join(RULES)}.")

    def extract(self, text: str) -> str | None:
        """The final answer in a text, or None when it has none."""
        return extract(text, self.rules)

    async def group(self, answers: Sequence[str]) -> list[int]:
        """For each answer the index of the first one equivalent to it."""
        first: dict[Key, int] = {}
        return [first.setdefault(key(answer), i) for i, answer in enumerate(answers)]
