"""The shipped ``AnswerReader``: what a finished text answers, and which answers are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mcts.errors import StartupError
from reward.equivalence import Key, key
from reward.extraction import DEFAULT_RULES, RULES, Rule, extract, json_field, pattern
from reward.notation import Notation, read
from reward.verifier import SearchVerifier, Verifier


@dataclass(frozen=True, slots=True)
class StandardAnswers:
    """Extracts by rules and groups by exact value or normalised text, then by algebra where there is a verifier.

    Extraction is pure computation. Grouping waits for the verifier, whose process may be killed: it never fails, and
    never holds up the event loop.

    Args:
        rules: Names of extraction rules, in the order they are tried. None at all: every text is free text, and the
            best-valued path wins instead of a vote.
        json_name: The field that the rule ``json`` reads.
        expression: The regular expression of the rule ``pattern``; empty where there is none.
        verifier: Compares what is mathematics and differs as text; None compares exactly only. It belongs to this
            reader, which closes it.

    Raises:
        StartupError: A rule is unknown, or the expression is wrong.
    """

    rules: tuple[str, ...] = DEFAULT_RULES
    json_name: str = "answer"
    expression: str = ""
    verifier: Verifier | None = None
    _search: SearchVerifier | None = field(default=None, repr=False, compare=False)
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

    def for_search(self, seconds: float | None = None) -> StandardAnswers:
        """The same reader for one search: however often it groups, its waiting for the verifier is limited in all.

        Args:
            seconds: From now on, after which nothing is compared by algebra any more; None is no such limit.
        """
        return replace(self, _search=SearchVerifier(self.verifier, until=seconds)) if self.verifier else self

    def warm(self) -> None:
        """Begins to start the verifier's process, so that the first search need not wait for it."""
        if self.verifier:
            self.verifier.warm()

    async def close(self) -> None:
        """Ends the verifier's process."""
        if self.verifier:
            await self.verifier.close()

    def extract(self, text: str) -> str | None:
        """The final answer in a text, or None when it has none."""
        return extract(text, self.rules, self._known)

    async def group(self, answers: Sequence[str]) -> list[int]:
        """For each answer the index of the first one equivalent to it.

        An answer joins the first group of its key, or else the first whose first member is the same by algebra; that
        member is what is taken for right (``gold``). A reader that is no search's limits each call by itself.
        """
        if self._search is None and self.verifier is not None:
            return await self.for_search().group(answers)
        groups = _Groups(self._search)
        return [await groups.place(answer, i) for i, answer in enumerate(answers)]


@dataclass(frozen=True, slots=True)
class _First:
    """The first answer of a group that can be compared by algebra."""

    place: int
    exact: bool  # a number, whose value is known
    notation: Notation


class _Groups:
    """Groups of equivalent answers, built up one answer at a time."""

    def __init__(self, verifier: SearchVerifier | None) -> None:
        self._verifier = verifier
        self._by_key: dict[Key, int] = {}
        self._firsts: list[_First] = []

    async def place(self, answer: str, place: int) -> int:
        """The place of the first answer of the group that an answer belongs to; its own where it begins one."""
        known = key(answer)
        if known not in self._by_key:
            self._by_key[known] = await self._alike(answer, place, exact=known[0] == "number")
        return self._by_key[known]

    async def _alike(self, answer: str, place: int, *, exact: bool) -> int:
        notation = read(answer) if self._verifier else None
        if notation is None or self._verifier is None:
            return place
        for first in self._firsts:
            if exact and first.exact:  # two numbers, known to differ
                continue
            if first.notation.may_equal(notation) and await self._verifier.same(first.notation.latex, notation.latex):
                return first.place
        self._firsts.append(_First(place, exact, notation))
        return place
