"""The shipped ``AnswerReader``: what a finished text answers, and which answers are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mcts.errors import StartupError
from reward.equivalence import Key, key
from reward.extraction import DEFAULT_RULES, RULES, Rule, extract, json_field, pattern


@dataclass(frozen=True, slots=True)
class StandardAnswers:
    """Extracts by rules and groups by exact value or normalised text. Pure computation: nothing here can hang.

    Args:
        rules: Names of extraction rules, in the order they are tried. None at all: every text is free text, and the
            best-valued path wins instead of a vote.
        json_name: The field that the rule ``json`` reads.
        expression: The regular expression of the rule ``pattern``; empty where there is none.

    Raises:
        StartupError: A rule is unknown, or the expression is wrong.
    """

    rules: tuple[str, ...] = DEFAULT_RULES
    json_name: str = "answer"
    expression: str = ""
    _known: dict[str, Rule] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {**RULES, "json": json_field(self.json_name)}
        if self.expression:
            known["pattern"] = pattern(self.expression)
        unknown = [rule for rule in self.rules if rule not in known]
        if unknown == ["pattern"]:
            raise StartupError("The answer rule 'pattern' needs answer_pattern.")
        if unknown:
            raise StartupError(f"Unknown answer rule {unknown[0]!r}. Known: {', '.join(known)}.")
        object.__setattr__(self, "_known", known)

    def extract(self, text: str) -> str | None:
        """The final answer in a text, or None when it has none."""
        return extract(text, self.rules, self._known)

    async def group(self, answers: Sequence[str]) -> list[int]:
        """For each answer the index of the first one equivalent to it."""
        first: dict[Key, int] = {}
        return [first.setdefault(key(answer), i) for i, answer in enumerate(answers)]
