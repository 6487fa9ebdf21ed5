"""Rules of votes taken again over a reply's candidates."""

from __future__ import annotations

from evals.recast import recast
from mcts.votes import VOTES
from reward.answers import StandardAnswers
from tests.evals.rows import candidate


async def test_each_vote_picks_its_own_winner() -> None:
    """Four candidates for which the four votes disagree."""
    found = [
        candidate("a", "1", 0.2),
        candidate("b", "1", 0.2),
        candidate("c", "1", 0.1),  # 1: weight 0.5, three heads, best 0.2
        candidate("d", "2", 0.4, visits=2),
        candidate("e", "2.0", 0.5),  # 2: weight 0.9, two heads, best 0.5
        candidate("f", "3", 0.8),  # 3: weight 0.8, one head, best 0.8
        candidate("g", "4", 0.0, visits=9),  # 4: most visits
    ]
    winners = await recast(found, tuple(VOTES), StandardAnswers())
    assert winners == {"weighted": "e", "majority": "a", "max_value": "f", "max_visits": "g"}


async def test_unfinished_candidates_have_no_vote_beside_finished_ones() -> None:
    """A text that a limit cut counts only where nothing finished exists."""
    cut = candidate("cut", "7", 0.9, finished=False)
    assert await recast([cut, candidate("done", "8", 0.1)], ["max_value"], StandardAnswers()) == {"max_value": "done"}
    assert await recast([cut], ["max_value"], StandardAnswers()) == {"max_value": "cut"}
