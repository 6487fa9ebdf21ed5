"""Diverse verifier tree search: independent subtrees, each greedy. All numbers by hand."""

import random

import pytest

from mcts.budget import Budget, StopReason
from mcts.events import AnswerFound
from mcts.strategies import STRATEGIES, DvtsOptions
from mcts.strategies.dvts import dvts
from tests.mcts.dictated import dictated
from tests.mcts.toys import search

# The root's draws in turn: a subtree of two gets A and B, the other C and D. A and D are followed.
TWO_TREES = {
    "": ("A\n\n", "B\n\n", "C\n\n", "D\n\n"),
    "A\n\n": ("answer: 1", "answer: 2"),
    "D\n\n": ("answer: 3", "answer: 4"),
}
TWO_TREES_WORTH = {"A": 0.6, "B": 0.5, "C": 0.1, "D": 0.2}
TWO_BY_TWO = DvtsOptions(beams=4, branch=2)


@pytest.mark.parametrize("order", range(6))
def test_each_subtree_follows_its_own_best(order):
    """D (0.2) goes on in its subtree although B (0.5), lost to A (0.6), is better: that is the diversity."""
    chance = random.Random(order)
    where = dictated(TWO_TREES, TWO_TREES_WORTH, latency=lambda _, number: number + chance.random() / 4)
    result = search(dvts, where, TWO_BY_TWO)
    assert sorted(where.engine.asked()) == [("", 2), ("", 2), ("A\n\n", 2), ("D\n\n", 2)]
    assert sorted(c.answer for c in result.candidates) == ["1", "2", "3", "4"]
    assert (result.stop_reason, result.generated_tokens, result.simulations) == (StopReason.SIMULATIONS, 12, 4)


def test_the_subtrees_draw_apart():
    """The same beginning is drawn with seeds of each subtree's own, also where they meet on the same path."""
    where = dictated({"": ("A\n\n",), "A\n\n": ("answer: 1",)}, lambda _: 0.5)
    search(dvts, where, TWO_BY_TWO)
    assert len({request.seed for request in where.engine.requests}) == len(where.engine.requests) == 4


def test_a_slow_subtree_holds_up_nobody():
    """No barrier: the first call takes 50 s, the other subtree is done after 2 s."""
    where = dictated(TWO_TREES, TWO_TREES_WORTH, latency=lambda _, number: 1.0 if number else 50.0)
    result = search(dvts, where, TWO_BY_TWO, budget=Budget(seconds=10))
    assert (result.stop_reason, result.seconds, where.engine.aborted_calls) == (StopReason.DEADLINE, 10.0, 1)
    assert [event.seconds for event in where.seen(AnswerFound)] == [2.0, 2.0]
    assert (len(result.candidates), result.simulations) == (2, 2)


def test_a_subtree_ends_with_its_best_answer():
    """An answer that beats its siblings ends the subtree; one that does not is a candidate and the best goes on."""
    table = {"": ("A\n\n", "answer: 1"), "A\n\n": ("answer: 2",)}
    best = search(dvts, dictated(table, {"A": 0.4, "answer:1": 0.7}), DvtsOptions(beams=2, branch=2))
    assert [(c.answer, c.reward) for c in best.candidates] == [("1", 0.7)]
    where = dictated(table, {"A": 0.8, "answer:1": 0.7, "Aanswer:2": 0.3})
    second = search(dvts, where, DvtsOptions(beams=2, branch=2))
    assert [(c.answer, c.reward) for c in second.candidates] == [("1", 0.7), ("2", 0.3)]
    assert where.engine.asked() == [("", 2), ("A\n\n", 1)]  # the answer keeps its place


@pytest.mark.parametrize(("beams", "branch", "sizes"), [(6, 4, [3, 3]), (5, 2, [2, 2, 1]), (3, 8, [3]), (1, 1, [1])])
def test_the_places_are_shared_among_the_subtrees(beams, branch, sizes):
    """As many subtrees as it takes to give none more than ``branch``: never more places than beams."""
    where = dictated({"": ("answer: 1",)}, lambda _: 0.5)
    result = search(dvts, where, DvtsOptions(beams=beams, branch=branch))
    assert [n for _, n in where.engine.asked()] == sizes
    assert len(result.candidates) == beams


def test_a_path_that_was_cut_is_neither_answer_nor_followed():
    """Within two tokens A (0.9) does not end; its sibling's answer counts, and the subtree is over."""
    table = {"": ("A\n\n", "B\n\n"), "A\n\n": ("C\n\n", ""), "A\n\nC\n\n": ("answer: 1",)}
    result = search(dvts, dictated(table, {"AC": 0.9, "A": 0.6}), DvtsOptions(beams=2, branch=2), max_tokens=2)
    assert [(c.path.text, c.path.finished) for c in result.candidates] == [("A\n\n", True)]
    none = search(dvts, dictated(table, {}), DvtsOptions(beams=1, branch=1), max_tokens=2)
    assert [(c.path.text, c.path.finished) for c in none.candidates] == [("A\n\nC\n\n", False)]
    assert none.stop_reason is StopReason.EXHAUSTED


def test_lookahead_guides_subtrees_too():
    """A is worth more at first, B one step later."""
    table = {"": ("A\n\n", "B\n\n"), "A\n\n": ("C\n\n",), "B\n\n": ("answer: 2",)}
    worth = {"A": 0.9, "B": 0.2, "AC": 0.1, "Banswer:2": 0.8}
    result = search(dvts, dictated(table, worth), DvtsOptions(beams=2, branch=2, lookahead=1))
    assert {c.answer for c in result.candidates} == {"2"}


def test_the_reference_is_one_subtree_of_four():
    """With search-and-learn's n 4 and m 4 there is a single subtree."""
    spec = STRATEGIES["search-and-learn-dvts"]
    where = dictated(TWO_TREES, TWO_TREES_WORTH)
    search(spec.run, where, spec.defaults)
    assert where.engine.asked() == [("", 4), ("A\n\n", 4)]
    assert (spec.defaults.max_depth, spec.defaults.aggregate, spec.defaults.lookahead) == (40, "last", 0)
