"""How winners are picked, and what happens on ties, without answers and without finished paths."""

import asyncio

import pytest

from engine.scripted_judges import PlainAnswers
from mcts.ports import Finish, Path, Prompt
from mcts.result import Candidate
from mcts.votes import VOTES, Leader, elect
from tests.mcts.toys import step


def _candidate(answer, reward=None, visits=1, *, finished=True, token=1):
    finish = Finish.EOS if finished else Finish.LENGTH
    path = Path(Prompt(()), (step(token, finish=finish),), finished=finished)
    return Candidate(path, answer, reward, visits=visits)


def _winners(candidates, vote, n=1):
    return asyncio.run(elect(candidates, vote, n, PlainAnswers()))


# 7: three times, 0.3 each, one visit each. 8: twice, 0.4 and 0.6, five visits. 9: once, 0.95, two visits.
FIELD = [
    _candidate("7", 0.3),
    _candidate("8", 0.4),
    _candidate("9", 0.95, 2),
    _candidate("7", 0.3),
    _candidate("8", 0.6, 5),
    _candidate("7", 0.3),
]


@pytest.mark.parametrize(
    ("vote", "order", "weights"),
    [
        ("weighted", ["8", "9", "7"], [1.0, 0.95, 0.9]),
        ("majority", ["7", "8", "9"], [3, 2, 1]),
        ("max_value", ["9", "8", "7"], [0.95, 0.6, 0.3]),
        ("max_visits", ["8", "9", "7"], [5, 2, 1]),
    ],
)
def test_each_vote_weighs_groups_in_its_own_way(vote, order, weights):
    """Sum of rewards, count, best reward, or most visits."""
    election = _winners(FIELD, vote, 3)
    assert [tally.answer for tally in election.tallies] == order
    assert [tally.weight for tally in election.tallies] == pytest.approx(weights)
    assert [winner.answer for winner in election.winners] == order


def test_a_tally_names_the_candidates_behind_it():
    """Each candidate stands behind exactly one answer, in the order in which they were found."""
    members = {tally.answer: tally.members for tally in _winners(FIELD, "majority").tallies}
    assert {answer: [FIELD.index(each) for each in behind] for answer, behind in members.items()} == {
        "7": [0, 3, 5],
        "8": [1, 4],
        "9": [2],
    }


def test_a_group_is_represented_by_its_best_member():
    """The winner's text is the best-rewarded one among the equivalent answers."""
    assert _winners(FIELD, "majority", 2).winners[1].reward == 0.6


@pytest.mark.parametrize("vote", list(VOTES))
def test_ties_go_to_the_answer_found_first(vote):
    """Equal weights keep the order in which the answers were found."""
    tied = [_candidate("b", 0.1), _candidate("a", 0.7), _candidate("a", 0.1), _candidate("b", 0.7)]
    election = _winners(tied, vote, 2)
    assert [winner.answer for winner in election.winners] == ["b", "a"]


def test_the_order_of_arrival_cannot_break_a_tie_by_rounding():
    """0.1 + 0.2 + 0.3 in any order is the same weight."""
    tied = [_candidate("a", 0.1), _candidate("a", 0.2), _candidate("a", 0.3)]
    tied += [_candidate("b", 0.3), _candidate("b", 0.2), _candidate("b", 0.1)]
    assert _winners(tied, "weighted").winners[0].answer == "a"
    assert _winners(tied[::-1], "weighted").winners[0].answer == "b"


@pytest.mark.parametrize("vote", list(VOTES))
def test_without_any_answer_the_best_valued_path_wins(vote):
    """Free text has nothing to count: the vote is by value, whatever it is called."""
    texts = [_candidate(None, 0.4, 9, token=1), _candidate(None, 0.8, token=2), _candidate(None, 0.6, token=3)]
    election = _winners(texts, vote, 2)
    assert [winner.reward for winner in election.winners] == [0.8, 0.6]


@pytest.mark.parametrize("vote", list(VOTES))
def test_winners_without_an_answer_have_distinct_texts(vote):
    """Text 1 comes three times, at best worth 0.8, and text 2 once, worth 0.6: one winner each."""
    texts = [_candidate(None, 0.4, 9), _candidate(None, 0.8), _candidate(None, 0.6, token=2), _candidate(None, 0.7)]
    election = _winners(texts, vote, 3)
    assert [(winner.path.text, winner.reward) for winner in election.winners] == [("t1", 0.8), ("t2", 0.6)]
    assert [(tally.weight, tally.count) for tally in election.tallies] == [(0.8, 3), (0.6, 1)]


def test_a_path_without_an_answer_never_beats_one_with():
    """Texts without an answer come after every answer, even when better valued or more numerous."""
    mixed = [_candidate(None, 1.0), _candidate(None, 1.0), _candidate("7", 0.1)]
    for vote in VOTES:
        assert [winner.answer for winner in _winners(mixed, vote, 2).winners] == ["7", None]


def test_unfinished_paths_count_only_when_nothing_is_finished():
    """A text cut short is no candidate unless nothing better exists."""
    cut, whole = _candidate("7", 1.0, finished=False), _candidate("8", 0.1)
    assert _winners([cut, whole], "weighted", 2).winners == (whole,)
    assert _winners([cut], "weighted").winners == (cut,)


def test_unscored_candidates_count_heads():
    """Without rewards a weighted vote is a majority."""
    election = _winners([_candidate("a"), _candidate("b"), _candidate("b")], "weighted")
    assert (election.winners[0].answer, election.tallies[0].weight) == ("b", 2.0)


def test_no_more_winners_than_distinct_answers():
    """``n`` winners are distinct, so there may be fewer."""
    assert len(_winners(FIELD, "weighted", 10).winners) == 3


def test_the_leader_is_known_at_any_time():
    """The running tally adds up weights by answer and ignores texts without one."""
    leader = Leader()
    for candidate in FIELD[:3]:
        leader.add(candidate)
    assert (leader.answer, leader.weight) == ("9", 0.95)
    leader.add(_candidate(None, 1.0))
    leader.add(_candidate("8", 0.75))
    assert (leader.answer, leader.weight) == ("8", 1.15)
