"""How the final answer is picked from the candidates. Equivalence of answers is the answer reader's business.

The rules, which hold for every vote:

1. Finished candidates are considered alone, unfinished ones only when nothing finished exists.
2. Candidates with an answer come before those without one. Where nobody has an answer (free text) there is nothing to
   count, and the best-valued path wins whatever the vote.
3. Ties go to the answer that was found first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mcts.ports import AnswerReader
from mcts.result import Candidate, Tally

VoteRule = Literal["weighted", "majority", "max_value", "max_visits"]


@dataclass(frozen=True, slots=True, eq=False)
class Election:
    """The outcome of a vote: best candidates with distinct answers and all tallies, both heaviest first."""

    winners: tuple[Candidate, ...]
    tallies: tuple[Tally, ...]


def worth(candidate: Candidate) -> float:
    """A candidate's reward; 1 where nothing was scored, so that sums of worth count heads."""
    return 1.0 if candidate.reward is None else candidate.reward


def _weighted(group: Sequence[Candidate]) -> float:
    return math.fsum(map(worth, group))  # exact, so the order of arrival cannot break or make a tie


def _majority(group: Sequence[Candidate]) -> float:
    return float(len(group))


def _max_value(group: Sequence[Candidate]) -> float:
    return max(map(worth, group))


def _max_visits(group: Sequence[Candidate]) -> float:
    return float(max(candidate.visits for candidate in group))


VOTES: Mapping[VoteRule, Callable[[Sequence[Candidate]], float]] = {
    "weighted": _weighted,
    "majority": _majority,
    "max_value": _max_value,
    "max_visits": _max_visits,
}
"""What a group of candidates with equivalent answers weighs: the sum of its rewards (Snell et al., 2408.03314), its
size (self-consistency, 2203.11171), its best reward, or the visits of its most visited node."""


async def elect(candidates: Sequence[Candidate], vote: VoteRule, n: int, answers: AnswerReader) -> Election:
    """Holds the vote.

    Args:
        candidates: In the order in which they were found; at least one.
        vote: How groups are weighed.
        n: How many winners with distinct answers are wanted, at least 1.
        answers: Tells which answers are the same.

    Returns:
        At least one winner. A group is represented by its best-rewarded member (``max_visits``: most visited), the
        first found among equals. Of texts without an answer the equal ones stand together, by the best of their
        rewards, so that winners are distinct.
    """
    standing = [candidate for candidate in candidates if candidate.path.finished] or list(candidates)
    groups = await _grouped([candidate for candidate in standing if candidate.answer is not None], answers)
    ranked = sorted(((VOTES[vote](group), group) for group in groups), key=_heaviest)
    ranked += sorted(((_max_value(group), group) for group in _silent(standing)), key=_heaviest)
    return Election(
        winners=tuple(_representative(group, vote) for _, group in ranked[:n]),
        tallies=tuple(Tally(group[0].answer, weight, len(group), tuple(group)) for weight, group in ranked),
    )


def _heaviest(entry: tuple[float, Sequence[Candidate]]) -> float:
    return -entry[0]  # sorting is stable: ties stay in the order in which they were found


async def _grouped(candidates: Sequence[Candidate], answers: AnswerReader) -> list[list[Candidate]]:
    """Candidates with equivalent answers together, groups in the order of their first member."""
    firsts = await answers.group([candidate.answer or "" for candidate in candidates]) if candidates else []
    groups: dict[int, list[Candidate]] = {}
    for first, candidate in zip(firsts, candidates, strict=True):
        groups.setdefault(first, []).append(candidate)
    return list(groups.values())


def _silent(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Candidates without an answer, equal texts together."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.answer is None:
            groups.setdefault(candidate.path.text, []).append(candidate)
    return list(groups.values())


def _representative(group: Sequence[Candidate], vote: VoteRule) -> Candidate:
    if vote == "max_visits" and group[0].answer is not None:
        return max(group, key=lambda candidate: (candidate.visits, worth(candidate)))
    return max(group, key=worth)


class Leader:
    """The answer in front while a search goes on: a cheap running tally for progress, by answers' exact text."""

    def __init__(self) -> None:
        self._weights: dict[str, float] = {}
        self.answer: str | None = None
        self.weight = 0.0

    def add(self, candidate: Candidate) -> None:
        """Counts a candidate with its reward (1 when unscored); the first to reach a weight keeps the lead."""
        if candidate.answer is None:
            return
        weight = self._weights.get(candidate.answer, 0.0) + worth(candidate)
        self._weights[candidate.answer] = weight
        if weight > self.weight or self.answer is None:
            self.answer, self.weight = candidate.answer, weight
