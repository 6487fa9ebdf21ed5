"""Votes taken again over the answers that one search found, by the same code that the search itself votes with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mcts.ports import AnswerReader, Finish, Path, Prompt, Step
from mcts.result import Candidate
from mcts.votes import VoteRule, elect

_NOTHING = np.zeros(0, dtype=np.float32)
_NO_TOKENS = np.zeros((0, 0), dtype=np.int32)
_NO_CHANCES = np.zeros((0, 0), dtype=np.float32)


def read_candidate(found: Mapping[str, Any]) -> Candidate:
    """A candidate as the search saw it, from an entry of the reply's ``search.candidates``.

    Its tokens are not in the reply and no vote looks at them.
    """
    step = Step(
        (), found["text"], _NOTHING, _NO_TOKENS, _NO_CHANCES, Finish.EOS if found["finished"] else Finish.LENGTH
    )
    path = Path(Prompt(()), (step,), finished=found["finished"])
    return Candidate(path, found["answer"], found["reward"], visits=found["visits"])


async def recast(
    found: Sequence[Mapping[str, Any]], votes: Sequence[VoteRule], answers: AnswerReader
) -> dict[str, str]:
    """The winning text under each vote.

    Args:
        found: The reply's ``search.candidates``; at least one.
        votes: The votes to take.
        answers: Tells which answers are the same; the server's own kind.
    """
    candidates = [read_candidate(one) for one in found]
    winners = {vote: (await elect(candidates, vote, 1, answers)).winners[0] for vote in votes}
    return {vote: winner.path.text for vote, winner in winners.items()}
