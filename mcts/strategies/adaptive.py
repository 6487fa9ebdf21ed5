"""When a vote by majority may end before all samples are drawn.

Two criteria. *Certain*: however the remaining samples fall, the answers in front stay in front. *Sure enough*:
Adaptive-Consistency's Beta criterion (Aggarwal et al., 2305.11860): with ``v1`` votes for the leader and
``v2`` for the runner-up, and a uniform prior on the leader's share of those two answers' votes, the posterior is
Beta(v1 + 1, v2 + 1), and sampling ends when more than the threshold (0.95 in the paper) of it lies above one half.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from mcts.ports import AnswerReader
from mcts.result import Candidate


def leads(ahead: int, behind: int) -> float:
    """Posterior probability that of two answers the one with more votes is the commoner one.

    P(p > 1/2) under Beta(v1 + 1, v2 + 1). For whole numbers the incomplete Beta function is a binomial sum: with
    ``n = v1 + v2 + 1`` tosses of a fair coin it is the probability of at most ``v1`` heads, so the value is exact up
    to the last division.

    Args:
        ahead: ``v1``, votes of the leader, at least 0.
        behind: ``v2``, votes of the runner-up, at least 0.

    Returns:
        In (0, 1); 0.5 at equal votes.
    """
    tosses = ahead + behind + 1
    ways: int = sum(math.comb(tosses, heads) for heads in range(ahead + 1))
    return ways / (1 << tosses)


class RunningVote:
    """The votes so far, and whether the best answers are decided.

    Counts as the final vote does: only finished texts with an answer, equivalent answers together, ties for the one
    found first. Every other sample only lessens what is still to come. The reader is asked once per distinct text
    rather than once per sample.

    Args:
        samples: How many samples there will be, at least 1.
        winners: How many of the best answers must be decided, at least 1.
        certainty: Posterior probability at which a lead is taken for final, 0.5 to 1; 1 waits for certainty.
        answers: Tells which answers are the same.
    """

    def __init__(self, samples: int, winners: int, certainty: float, answers: AnswerReader) -> None:
        self._samples, self._winners, self._certainty = samples, winners, certainty
        self._answers = answers
        self._drawn = 0
        self._votes: dict[str, int] = {}  # by exact text, in the order in which they were found
        self._same_as: dict[str, str] = {}  # each grouped text to the first one equivalent to it

    async def add(self, candidate: Candidate) -> None:
        """Counts a sample. Samples may be added while others are still being compared."""
        self._drawn += 1
        answer = candidate.answer
        if answer is None or not candidate.path.finished:
            return
        self._votes[answer] = self._votes.get(answer, 0) + 1
        if answer not in self._same_as:
            texts = list(self._votes)
            firsts = await self._answers.group(texts)
            grouped = {text: texts[first] for text, first in zip(texts, firsts, strict=True)}
            self._same_as = grouped | {text: first for text, first in self._same_as.items() if text not in grouped}

    @property
    def decided(self) -> bool:
        """Whether the remaining samples cannot, or will hardly, change the best answers. False when none remain."""
        groups = self._groups()
        compared = sum(group.votes for group in groups)
        silent = self._drawn - sum(self._votes.values())
        remaining = self._samples - silent - compared  # what is not compared yet may still be anything
        if self._drawn == self._samples or len(groups) < self._winners:
            return False
        nobody = _Group(0, len(groups))  # an answer that has not been given yet
        ranked = [*sorted(groups, key=lambda group: (-group.votes, group.place)), nobody]
        pairs = list(itertools.pairwise(ranked))[: self._winners]
        return all(self._settled(ahead, behind, remaining) for ahead, behind in pairs)

    def _settled(self, ahead: _Group, behind: _Group, remaining: int) -> bool:
        """Whether one answer stays, or is sure enough to stay, before the next. Those further back are no nearer."""
        if self._certainty < 1 and leads(ahead.votes, behind.votes) >= self._certainty:
            return True
        best = behind.votes + remaining
        return ahead.votes > best or (ahead.votes == best and ahead.place < behind.place)

    def _groups(self) -> list[_Group]:
        """Votes for the answers that are compared already, in the order in which they were found."""
        votes: dict[str, int] = {}
        for text, count in self._votes.items():
            if text in self._same_as:
                votes[self._same_as[text]] = votes.get(self._same_as[text], 0) + count
        return [_Group(count, place) for place, count in enumerate(votes.values())]


@dataclass(frozen=True, slots=True)
class _Group:
    """Equivalent answers: how many there are, and their place in the order in which answers were found."""

    votes: int
    place: int
