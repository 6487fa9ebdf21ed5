"""The marco-o1 reference: separate expansion and rollout, un-normalised UCB1, all numbers by hand."""

from dataclasses import replace

import pytest

from mcts.budget import Budget, StopReason
from mcts.strategies import STRATEGIES
from mcts.strategies.marco_o1 import EXPLORATION, MARCO_O1, REFLECTION_TEXT, marco_o1, reflection
from tests.mcts.replay import outline, replayed
from tests.mcts.toys import answers, search, world, worth_of

TWO_LEVELS = {
    "": [("A\n\n", 0.7), ("B\n\n", 0.3)],
    "A\n\n": [("C\n\n", 0.6), ("D\n\n", 0.4)],
} | answers(("B\n\n", "answer: 1"), ("A\n\nC\n\n", "answer: 2"), ("A\n\nD\n\n", "answer: 3"))

# top_tokens makes the toy certain where it branches: A before B, C before D.
OPTIONS = replace(MARCO_O1, branch=2, expansion="top_tokens")


def _lines(simulations):
    where = world(TWO_LEVELS, worth_of({"1": 0.5, "2": 0.75, "3": 0.75}))
    result = search(marco_o1, where, OPTIONS, budget=Budget(simulations=simulations))
    return outline(replayed(where.events)), result


def test_the_first_simulation_expands_the_root_and_rolls_out_its_first_child():
    """Children are added without visits; one is rolled out and its value backed up."""
    lines, result = _lines(1)
    assert lines == [". 1 0.75", " A 1 0.75", " B 0 0"]  # whichever way A goes, it is worth 0.75
    assert len(result.candidates) == 1


def test_the_second_rolls_out_the_unvisited_sibling():
    """Unvisited first: B is a leaf without visits, so it is rolled out and not expanded."""
    lines, _ = _lines(2)
    assert lines == [". 2 1.25", " A 1 0.75", " B 1 0.5"]


def test_the_third_expands_the_better_child():
    """Ln 2 = 0.693: A scores 0.75 + 2 x 0.833 = 2.415 and B 0.5 + 1.665 = 2.165. A is visited, so it is expanded."""
    lines, _ = _lines(3)
    assert lines == [". 3 2", " A 2 1.5", "  C 1 0.75", "  D 0 0", " B 1 0.5"]


def test_the_fourth_goes_to_the_sibling_that_was_seldom_visited():
    """Ln 3 = 1.099: A scores 0.75 + 2 sqrt(1.099 / 2) = 2.232, B 0.5 + 2 x 1.048 = 2.596. B is expanded.

    B's only child ends the answer: it needs no rollout and counts one visit.
    """
    lines, _ = _lines(4)
    assert lines == [". 4 2.5", " A 2 1.5", "  C 1 0.75", "  D 0 0", " B 2 1", "  answer: 1 1 0.5"]


def test_the_rest_is_grown_until_nothing_is_left():
    """D is rolled out, then C and D are expanded to their ends: 4 + 3 visits."""
    lines, result = _lines(32)
    assert result.stop_reason is StopReason.EXHAUSTED
    assert (result.simulations, lines[0]) == (7, ". 7 4.75")
    assert lines[1:6] == [" A 5 3.75", "  C 2 1.5", "   answer: 2 1 0.75", "  D 2 1.5", "   answer: 3 1 0.75"]


def test_values_are_not_rescaled():
    """The reference keeps its own formula: raw means and the released code's constant."""
    assert not MARCO_O1.normalize
    assert pytest.approx(1.414 * 2**0.5, abs=1e-3) == EXPLORATION
    assert MARCO_O1.exploration == EXPLORATION
    assert (MARCO_O1.width, MARCO_O1.joint, MARCO_O1.widening) == (1, False, 0)
    assert STRATEGIES["marco-o1"].defaults is MARCO_O1


def test_its_reflection_counts_one_more_visit():
    """A rollout that reached an answer is doubted with the paper's phrase; the second thought is backed up as well."""
    table = TWO_LEVELS | {"-": [(REFLECTION_TEXT, 1.0)]}
    where = world(table, worth_of({"1": 0.5, "2": 0.75, "3": 0.75}))
    said = where.engine.script
    where.engine.script = lambda p, text: [("answer: 1", 1.0)] if text.endswith(REFLECTION_TEXT) else said(p, text)
    phrase = reflection(tuple(where.engine.tokenizer.encode(REFLECTION_TEXT)))
    result = search(marco_o1, where, replace(OPTIONS, reflection=phrase), budget=Budget(simulations=1))
    # 0.75 before and 0.5 after second thoughts.
    assert outline(replayed(where.events))[:2] == [". 2 1.25", " A 2 1.25"]
    assert [c.answer for c in result.candidates][1:] == ["1"]
    assert REFLECTION_TEXT in result.candidates[1].path.text
