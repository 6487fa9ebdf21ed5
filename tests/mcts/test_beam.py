"""Beam search: which paths go on, which are set aside, and what they are compared by. All numbers by hand."""

import random
from dataclasses import replace

import pytest

from engine.scripted_judges import mean_probability
from mcts.budget import Budget, StopReason
from mcts.errors import InvalidRequest, NoAnswerInTime
from mcts.events import RewardCalled
from mcts.ports import Finish, PathScore
from mcts.steps import StepRule
from mcts.strategies import STRATEGIES, BeamOptions
from mcts.strategies.beam import SEARCH_AND_LEARN, SEARCH_AND_LEARN_SAMPLING, beam
from tests.mcts.dictated import dictated
from tests.mcts.replay import outline, replayed
from tests.mcts.toys import search, world

# Four beginnings; each of them goes on with two answers.
FOUR = {
    "": ("A\n\n", "B\n\n", "C\n\n", "D\n\n"),
    "A\n\n": ("answer: 1", "answer: 2"),
    "C\n\n": ("answer: 3", "answer: 4"),
}
FOUR_WORTH = {"A": 0.9, "B": 0.5, "C": 0.7, "D": 0.1, "Aanswer:1": 0.2, "Aanswer:2": 0.4, "Canswer:3": 0.3}
FOUR_WORTH |= {"Canswer:4": 0.8}
TWO_OF_FOUR = BeamOptions(beams=4, branch=2)


@pytest.mark.parametrize("order", range(6))
def test_the_best_of_every_branch_go_on(order):
    """Of four beginnings the two best (0.9 and 0.7) get two continuations each, in whatever order replies come."""
    chance = random.Random(order)
    where = dictated(FOUR, FOUR_WORTH, latency=lambda *_: chance.random())
    result = search(beam, where, TWO_OF_FOUR)
    assert sorted(where.engine.asked()) == [("", 4), ("A\n\n", 2), ("C\n\n", 2)]
    assert [(c.answer, c.reward) for c in result.candidates] == [("4", 0.8), ("2", 0.4), ("3", 0.3), ("1", 0.2)]
    assert (result.winners[0].answer, result.stop_reason) == ("4", StopReason.SIMULATIONS)
    # Tokens: four beginnings of one, four answers of two (the end of sequence counts).
    assert (result.generated_tokens, result.engine_calls, result.simulations) == (12, 3, 3)


def test_the_tree_tells_all_that_was_scored():
    """Each path is a visit, its rank the value: 0.9 + 0.5 + 0.7 + 0.1 + 0.2 + 0.4 + 0.3 + 0.8 = 3.9 at the root."""
    where = dictated(FOUR, FOUR_WORTH)
    result = search(beam, where, TWO_OF_FOUR)
    assert outline(replayed(where.events)) == [
        ". 8 3.9",
        " A 3 1.5",
        "  answer: 1 1 0.2",
        "  answer: 2 1 0.4",
        " B 1 0.5",
        " C 3 1.8",
        "  answer: 3 1 0.3",
        "  answer: 4 1 0.8",
        " D 1 0.1",
    ]
    assert (result.nodes, result.depth) == (9, 2)


# One of the beginnings is an answer already.
EARLY = FOUR | {"": ("A\n\n", "answer: 9", "C\n\n", "D\n\n")}
EARLY_WORTH = FOUR_WORTH | {"answer:9": 0.6}


def test_a_finished_path_is_set_aside_and_keeps_its_place_and_score():
    """Three places are left for two kept paths: A, the better one, gets two, C one. Four candidates, never more."""
    where = dictated(EARLY, EARLY_WORTH)
    result = search(beam, where, TWO_OF_FOUR)
    assert sorted(where.engine.asked()) == [("", 4), ("A\n\n", 2), ("C\n\n", 1)]
    assert [(c.answer, c.reward) for c in result.candidates] == [("9", 0.6), ("2", 0.4), ("3", 0.3), ("1", 0.2)]


def test_refilled_places_bring_more_answers_of_which_the_best_stay():
    """As in search-and-learn four stay active. Four finish where three places are left: 0.2 is the one too many."""
    where = dictated(EARLY, EARLY_WORTH)
    result = search(beam, where, replace(TWO_OF_FOUR, refill=True))
    assert sorted(where.engine.asked()) == [("", 4), ("A\n\n", 2), ("C\n\n", 2)]
    assert [(c.answer, c.reward) for c in result.candidates] == [("9", 0.6), ("4", 0.8), ("2", 0.4), ("3", 0.3)]


@pytest.mark.parametrize("refill", [False, True])
@pytest.mark.parametrize("beams", [1, 2, 3, 5, 8])
def test_there_are_never_more_candidates_than_beams(beams, refill):
    """Paths that end at all depths fill the places one by one, and the search ends when all are taken."""
    chain = {"A\n\n" * i: ("A\n\n", "answer: 1", "A\n\n") for i in range(30)}
    where = dictated(chain, lambda _: 0.5)
    result = search(beam, where, BeamOptions(beams=beams, branch=2, refill=refill))
    assert (len(result.candidates), result.stop_reason) == (beams, StopReason.SIMULATIONS)


def test_a_branch_wider_than_the_beam_keeps_one_path():
    """At least one path always goes on; search-and-learn's n // m would be none, which its slice takes for all."""
    where = dictated(FOUR, FOUR_WORTH)
    search(beam, where, BeamOptions(beams=3, branch=4))
    assert where.engine.asked() == [("", 3), ("A\n\n", 3)]


def test_equal_paths_are_merged_and_draw_apart():
    """Four equal beginnings are one path with four places: one call, whose continuations have four seeds."""
    where = dictated({"": ("A\n\n",), "A\n\n": ("answer: 1", "answer: 2", "answer: 3")}, lambda _: 0.5)
    result = search(beam, where, TWO_OF_FOUR)
    assert where.engine.asked() == [("", 4), ("A\n\n", 4)]
    assert sorted(c.answer for c in result.candidates) == ["1", "1", "2", "3"]  # equal answers count as often


def test_a_path_cut_by_the_token_limit_is_no_answer():
    """A is best by far but never ends within three tokens: it is no candidate beside the one that ends."""
    table = {"": ("A\n\n", "B\n\n"), "A\n\n": ("A\n\n",), "A\n\nA\n\n": ("A\n\n",), "B\n\n": ("answer: 1",)}
    where = dictated(table, lambda path: 0.9 if path.text[0] == "A" else 0.1)
    result = search(beam, where, BeamOptions(beams=2, branch=1), max_tokens=3)
    assert [(c.path.text, c.path.finished, c.reward) for c in result.candidates] == [("B\n\nanswer: 1", True, 0.1)]
    assert result.stop_reason is StopReason.EXHAUSTED


def test_where_every_path_is_cut_the_best_must_do():
    """An unfinished text is marked as such and never passed for an answer."""
    table = {"": ("A\n\n", "B\n\n"), "A\n\n": ("C\n\n",), "B\n\n": ("D\n\n",)}
    where = dictated(table, {"AC": 0.4, "BD": 0.8})
    result = search(beam, where, BeamOptions(beams=2, branch=1), max_tokens=2)
    winner = result.winners[0]
    assert (winner.path.text, winner.path.finished, winner.reward) == ("B\n\nD\n\n", False, 0.8)
    assert winner.path.steps[-1].finish is not Finish.EOS
    assert (len(result.candidates), result.stop_reason) == (1, StopReason.EXHAUSTED)


def test_an_empty_last_step_is_never_scored():
    """The text ends with a blank line, then the sequence ends: the last words are scored again, with its end."""
    where = dictated({"": ("A\n\n",), "A\n\n": ("B\n\n",), "A\n\nB\n\n": ("",)}, {"A": 0.2, "AB": 0.7})
    seen = []
    score = where.reward.score

    async def watched(paths):
        seen.extend(paths)
        return await score(paths)

    where.reward.score = watched
    result = search(beam, where, BeamOptions(beams=1, branch=1))
    assert [[step.text for step in path.steps[path.scored_from :] if step.text.strip()] for path in seen] == [
        ["A\n\n"],
        ["B\n\n"],
        ["B\n\n"],
    ]
    assert (result.winners[0].reward, result.winners[0].step_rewards) == (0.7, (0.2, 0.7))
    assert result.winners[0].path.finished


# A looks better than B at first; one step later it is the other way round.
DECEPTIVE = {
    "": ("A\n\n", "B\n\n"),
    "A\n\n": ("wrong\n\n",),
    "B\n\n": ("right\n\n",),
    "A\n\nwrong\n\n": ("answer: 1",),
    "B\n\nright\n\n": ("answer: 2",),
}
DECEPTIVE_WORTH = {"A": 0.9, "B": 0.2, "Awrong": 0.1, "Bright": 0.8, "Awronganswer:1": 0.1, "Brightanswer:2": 0.7}


@pytest.mark.parametrize(("lookahead", "answer"), [(0, "1"), (1, "2"), (2, "2"), (9, "2")])
def test_lookahead_ranks_by_the_text_that_was_looked_ahead(lookahead, answer):
    """Without lookahead 0.9 beats 0.2; the looked-ahead texts are worth 0.1 and 0.8 (a step) or 0.1 and 0.7 (two)."""
    where = dictated(DECEPTIVE, DECEPTIVE_WORTH)
    result = search(beam, where, BeamOptions(beams=2, branch=2, lookahead=lookahead))
    assert {c.answer for c in result.candidates} == {answer}
    greedy = [request for request in where.engine.requests if request.sampling.temperature == 0]
    assert bool(greedy) == bool(lookahead)
    # Its own score is what an answer takes into the vote.
    assert {c.step_rewards for c in result.candidates} == {(0.2, 0.8, 0.7) if answer == "2" else (0.9, 0.1, 0.1)}
    assert {c.reward for c in result.candidates} == {0.7 if answer == "2" else 0.1}


def test_the_lookahead_of_equal_paths_is_written_once():
    """Two equal beginnings look ahead together: the calls are two greedy ones and one for each round."""
    table = {"": ("A\n\n",), "A\n\n": ("B\n\n",), "A\n\nB\n\n": ("answer: 1",)}
    where = dictated(table, lambda _: 0.5)
    search(beam, where, BeamOptions(beams=2, branch=1, lookahead=1))
    greedy = [where.engine.written(r) for r in where.engine.requests if r.sampling.temperature == 0]
    assert greedy == ["A\n\n", "A\n\nB\n\n"]


def _step_rewards(where, table):
    """Makes the reward of a world a process reward: per step what the table says of its words, the mean in all."""

    async def score(paths):
        rows = [tuple(table[part.strip()] for part in path.text.split("\n\n") if part.strip()) for path in paths]
        return [PathScore(sum(row) / len(row), row) for row in rows]

    where.reward.score = score
    return where


PAIR = {"": ("A\n\n", "B\n\n"), "A\n\n": ("answer: 1",), "B\n\n": ("answer: 2",)}
PAIR_STEPS = {"A": 0.3, "B": 0.6, "answer: 1": 0.9, "answer: 2": 0.5}


@pytest.mark.parametrize(
    ("rule", "rewards", "winner"),
    [("last", [0.9, 0.5], "1"), ("min", [0.3, 0.5], "2"), ("product", [0.27, 0.3], "2"), ("mean", [0.6, 0.55], "1")],
)
def test_the_vote_takes_the_aggregate_that_was_asked_for(rule, rewards, winner):
    """1 has steps of 0.3 and 0.9, 2 of 0.6 and 0.5: the vote follows its own aggregate, the ranks keep theirs."""
    where = _step_rewards(dictated(PAIR, {}), PAIR_STEPS)
    result = search(beam, where, BeamOptions(beams=2, branch=1, vote_aggregate=rule, vote="max_value"))
    assert {c.answer: c.reward for c in result.candidates} == pytest.approx({"1": rewards[0], "2": rewards[1]})
    assert result.winners[0].answer == winner
    assert {c.answer: c.step_rewards for c in result.candidates} == {"1": (0.3, 0.9), "2": (0.6, 0.5)}


@pytest.mark.parametrize(("rule", "kept"), [("last", "C"), ("min", "D"), ("product", "D"), ("mean", "C")])
def test_paths_are_compared_by_the_aggregate_that_was_asked_for(rule, kept):
    """A then C has 0.3 and 0.9, B then D 0.6 and 0.5: products 0.27 and 0.30, means 0.6 and 0.55."""
    table = {"": ("A\n\n", "B\n\n"), "A\n\n": ("C\n\n",), "B\n\n": ("D\n\n",)}
    where = _step_rewards(dictated(table, {}), {"A": 0.3, "B": 0.6, "C": 0.9, "D": 0.5})
    result = search(beam, where, BeamOptions(beams=2, branch=1, aggregate=rule), max_tokens=2)
    assert result.winners[0].path.text.strip()[-1] == kept


def test_rewards_of_the_whole_path_are_kept_step_by_step():
    """A reward without steps gives one number per extension, so every aggregate has something to work on."""
    where = dictated(FOUR, FOUR_WORTH)
    result = search(beam, where, replace(TWO_OF_FOUR, vote_aggregate="min"))
    assert {c.answer: c.step_rewards for c in result.candidates}["4"] == (0.7, 0.8)
    assert {c.answer: c.reward for c in result.candidates} == {"1": 0.2, "2": 0.4, "3": 0.3, "4": 0.7}


def test_the_last_round_writes_to_the_end():
    """After max_depth steps the rest of the text comes in one go, as the last of search-and-learn's iterations does."""
    table = {"": ("A\n\n",), "A\n\n": ("B\n\n",), "A\n\nB\n\n": ("C\n\n",), "A\n\nB\n\nC\n\n": ("answer: 1",)}
    where = dictated(table, lambda _: 0.5)
    result = search(beam, where, BeamOptions(beams=2, branch=2, max_depth=2))
    assert where.engine.asked() == [("", 2), ("A\n\n", 2)]
    assert [request.delimiters for request in where.engine.requests] == [("\n\n",), ()]
    assert [step.text for step in result.winners[0].path.steps] == ["A\n\n", "B\n\nC\n\nanswer: 1"]
    assert (result.depth, result.winners[0].path.finished) == (2, True)


def test_a_text_cut_in_the_last_round_is_given_whole():
    """Where nothing ended, the rest that was written in one go is part of the answer."""
    table = {"": ("A\n\n",), "A\n\n": ("B\n\n",), "A\n\nB\n\n": ("C\n\n",)}
    result = search(beam, dictated(table, lambda _: 0.5), BeamOptions(beams=1, max_depth=1), max_tokens=3)
    assert (result.winners[0].path.text, result.winners[0].path.finished) == ("A\n\nB\n\nC\n\n", False)


def test_mini_steps_are_cut_by_length_and_go_on():
    """A mini-step ends by length, which ends no path."""
    where = dictated(FOUR, FOUR_WORTH)
    result = search(beam, where, replace(TWO_OF_FOUR, step=StepRule(tokens=1)))
    assert all(c.path.finished for c in result.candidates)
    assert {request.max_tokens for request in where.engine.requests} == {1}
    assert result.winners[0].answer == "4"


def test_a_round_has_all_its_calls_open_and_scores_what_comes():
    """Calls of 1 s and 9 s: a second round of 9 s in all, and what came first was scored 8 s before."""
    where = dictated(FOUR, FOUR_WORTH, latency=lambda _, number: [1.0, 1.0, 9.0][number])
    result = search(beam, where, TWO_OF_FOUR)
    assert result.seconds == 10.0
    assert [event.seconds for event in where.seen(RewardCalled)] == [1.0, 2.0, 10.0]


def test_width_bounds_the_paths_at_work():
    """With width 1 the two calls of the second round follow each other."""
    where = dictated(FOUR, FOUR_WORTH, latency=lambda *_: 1.0)
    assert search(beam, where, replace(TWO_OF_FOUR, width=1)).seconds == 3.0
    assert search(beam, dictated(FOUR, FOUR_WORTH, latency=lambda *_: 1.0), TWO_OF_FOUR).seconds == 2.0


def test_a_token_budget_draws_what_it_can_one_after_the_other():
    """Four beginnings of at most 10 tokens do not fit 12, but each of them takes only one: all are drawn in the end."""
    where = dictated(FOUR, FOUR_WORTH)
    result = search(beam, where, TWO_OF_FOUR, max_tokens=10, budget=Budget(tokens=12))
    assert result.generated_tokens == 12
    assert sorted(c.answer for c in result.candidates) == ["1", "2", "3", "4"]


def test_a_blank_step_is_continued_and_siblings_go_on_apart():
    """Steps that stop at a leading blank line go on, with seeds of their own."""
    table = {"": ("\n\n",), "\n\n": ("A\n\n", "B\n\n")}
    where = dictated(table, lambda _: 0.5)
    result = search(beam, where, BeamOptions(beams=2, branch=1))
    assert sorted(c.path.text for c in result.candidates) == ["\n\nA\n\n", "\n\nB\n\n"]
    on = [request.seed for request in where.engine.requests if where.engine.written(request) == "\n\n"]
    assert len(set(on)) == 2


def test_a_text_of_blanks_only_ends_the_search():
    """A model that writes nothing but blank lines is given up, not asked for ever."""
    where = world({"": [("\n\n", 1.0)]}, lambda _: 0.5)
    where.engine.script = lambda _, __: [("\n\n", 1.0)]
    with pytest.raises(NoAnswerInTime):
        search(beam, where, TWO_OF_FOUR)
    assert where.engine.calls < 20


def test_an_empty_answer_is_an_answer():
    """A model that ends at once has said something: nothing."""
    result = search(beam, dictated({}, mean_probability), TWO_OF_FOUR)
    assert [(c.path.text, c.path.finished, c.answer) for c in result.candidates] == [("", True, None)] * 4


def test_search_and_learn_keeps_the_published_constants():
    """config.py: n 4, beam_width 4, num_iterations 40, lookahead 0, agg_strategy last, temperature 0.8, top_p 1."""
    reference = SEARCH_AND_LEARN
    assert (reference.beams, reference.branch, reference.max_depth, reference.lookahead) == (4, 4, 40, 0)
    assert (reference.aggregate, reference.step, reference.refill) == ("last", StepRule(), True)
    assert (SEARCH_AND_LEARN_SAMPLING.temperature, SEARCH_AND_LEARN_SAMPLING.top_p) == (0.8, 1.0)
    assert STRATEGIES["search-and-learn"].defaults is reference
    # n / m = 1: the single best path is copied four times in every round.
    where = dictated(FOUR, FOUR_WORTH)
    search(STRATEGIES["search-and-learn"].run, where, reference)
    assert where.engine.asked() == [("", 4), ("A\n\n", 4)]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"beams": 0}, "search.beams"),
        ({"beams": 257}, "search.beams"),
        ({"branch": 21}, "search.branch"),
        ({"lookahead": -1}, "search.lookahead"),
        ({"max_depth": 0}, "search.max_depth"),
        ({"width": 0}, "search.width"),
        ({"aggregate": "max"}, "search.aggregate"),
        ({"vote_aggregate": "max"}, "search.vote_aggregate"),
        ({"vote": "loudest"}, "search.vote"),
    ],
)
def test_senseless_options_are_refused_by_name(fields, param):
    """Every option is checked and named as the client wrote it."""
    with pytest.raises(InvalidRequest) as refused:
        BeamOptions(**fields)
    assert refused.value.param == param
