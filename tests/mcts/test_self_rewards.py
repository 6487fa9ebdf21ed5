"""MCTSr's numbers, each worked out by hand."""

import math

import pytest

from mcts.ports import Path, Prompt
from mcts.strategies.answer_tree import Answer, AnswerTree
from mcts.strategies.refine_prompts import GRADE_REQUEST
from mcts.strategies.self_rewards import (
    own_value,
    read_score,
    refinable,
    rescaled,
    reward,
    suppressed,
    unit,
    upper_bound,
)
from tests.mcts.toys import step


def tree_of(*parents: int) -> list[Answer]:
    """The nodes of a tree: the question, then one answer per parent given by its number."""
    tree = AnswerTree()
    for parent in parents:
        with tree.claimed(tree.nodes[parent]) as name:
            tree.add(tree.nodes[parent], name, Path(Prompt((1,)), (step(1),)))
            tree.nodes[parent].visits += 1
    return tree.nodes


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("It is fine.\nScore: 80", 80),
        ("score: -35.5", -35.5),
        ("Score: 10\nNo, I was too kind.\nScore: -20", -20),  # the last label
        ("Score (-100 to 100): 40", 40),
        ("The score is 40. There were 3 mistakes.", 40),  # what stands further on is no score
        (GRADE_REQUEST, None),  # its own instruction repeated is no judgement
        ("**Score:**\n\n 62", 62),
        ("Score: 85/100", 85),
        ("Score: 85 out of 100", 85),
        ("Score: −40", -40),  # the true minus sign
        ("这个答案有错。\n得分：－20", -20),  # full-width colon and sign
        ("😀 Score: 5 😀", 5),
        ("Score: 100", 100),
        ("There is no grade at all: 50", None),
        ("Score: none", None),
        ("Score:", None),
        ("Score: 101", None),  # outside the range is no score, and is not bent into one
        ("Score: 1,000", None),
        ("", None),
    ],
)
def test_a_score_is_the_number_after_the_last_label(text, score):
    """Whatever the judgement says before it; without a number in range there is no score."""
    assert read_score(text) == score


def test_a_long_judgement_is_read_in_no_time():
    """Reading costs no more than the text's length, whatever a model writes."""
    for hostile in ("score" + " " * 100_000, "score (" * 20_000, "Score: " * 20_000, "1" * 100_000):
        assert read_score(hostile) is None


def test_full_marks_are_kept_down():
    """Above 95 a constant is taken off; 95 itself stands, and nothing becomes 50."""
    assert [suppressed(score) for score in (100, 96, 95, 90, -100)] == [95, 91, 95, 90, -100]


def test_the_worst_grade_weighs_as_much_as_all_together():
    """Grades 20, 50, 80: the mean is 50, the worst 20, so the value is 35."""
    assert own_value([50, 20, 80]) == 35


def test_the_first_answer_feels_the_deepest_one():
    """A chain graded -80, -50, 0, 90: 90, (0 + 90) / 2 = 45, (-50 + 45) / 2 = -2.5, (-80 - 2.5) / 2 = -41.25.

    The released code climbs one level and forgets: there the first answer stays at (-80 - 50) / 2 = -65.
    """
    nodes = tree_of(0, 1, 2, 3)
    for node, score in zip(nodes[1:], (-80, -50, 0, 90), strict=True):
        reward(node, score)
    assert [node.value for node in nodes[1:]] == [-41.25, -2.5, 45, 90]


def test_the_order_of_grades_does_not_matter():
    """The same chain, graded from its end: the same values."""
    nodes = tree_of(0, 1, 2, 3)
    for number, score in ((4, 90), (2, -50), (1, -80), (3, 0)):
        reward(nodes[number], score)
    assert [node.value for node in nodes[1:]] == [-41.25, -2.5, 45, 90]


def test_a_value_follows_the_best_child_and_further_grades():
    """Graded 20 with children 60 and -40: (20 + 60) / 2 = 40. Graded 0 as well: ((0 + 10) / 2 + 60) / 2 = 32.5."""
    nodes = tree_of(0, 1, 1)
    for number, score in ((1, 20), (2, 60), (3, -40)):
        reward(nodes[number], score)
    assert nodes[1].value == 40
    reward(nodes[1], 0)
    assert nodes[1].value == 32.5
    assert nodes[0].value is None  # the question is no answer


def test_the_upper_bound_is_the_papers():
    """Q = 10, N = 2, father's N = 3, c = 1.4: 10 + 1.4 · sqrt((ln 3 + 1) / 2.00001) = 10 + 1.4 · 1.02436 = 11.4341.

    With ln(3 + 1) instead, as in the released code, it would be 11.1656.
    """
    nodes = tree_of(0, 1, 1, 2)  # the first answer: written, refined twice; its first child: written, refined once
    reward(nodes[2], 10)
    assert (nodes[1].visits, nodes[2].visits) == (3, 2)
    assert upper_bound(nodes[2], 1.4, float) == pytest.approx(11.4341, abs=1e-4)


def test_first_answers_have_a_bonus_too():
    """Their father is the question, visited once per first answer: 0 + 2 · sqrt((ln 2 + 1) / 1.00001) = 2.6024."""
    nodes = tree_of(0, 0)
    reward(nodes[1], 0)
    assert upper_bound(nodes[1], 2, float) == pytest.approx(2.6024, abs=1e-4)


def test_grades_are_no_visits():
    """Ten grades more change the bound by nothing but the value."""
    nodes = tree_of(0, 1)
    reward(nodes[2], 10)
    before = upper_bound(nodes[2], 1.4, float)
    for _ in range(10):
        reward(nodes[2], 10)
    assert upper_bound(nodes[2], 1.4, float) == before


def test_refinements_in_flight_count_as_visits_but_not_as_values():
    """O = 1 beside N = 1 and father's N = 1: sqrt(1 / 2.00001) = 0.7071."""
    nodes = tree_of(0)
    reward(nodes[1], 0)
    nodes[1].in_flight = 1
    assert upper_bound(nodes[1], 1, float) == pytest.approx(math.sqrt(0.5), abs=1e-4)


def test_an_answer_is_left_alone_only_when_both_conditions_hold():
    """Children at the limit, and one of them better than itself; either alone is not enough."""
    nodes = tree_of(0, 1, 1)
    reward(nodes[1], 0)
    assert refinable(nodes[1], branch=2)  # at the limit, but no child has a value
    reward(nodes[2], -10)
    assert refinable(nodes[1], branch=2)  # at the limit, and no better child
    reward(nodes[3], 10)
    assert refinable(nodes[1], branch=3)  # a better child, but below the limit
    assert not refinable(nodes[1], branch=2)


def test_an_answer_at_its_limit_waits_for_those_in_flight():
    """They may still bring a better one."""
    nodes = tree_of(0, 1)
    reward(nodes[1], 0)
    reward(nodes[2], -10)
    assert refinable(nodes[1], branch=1)
    nodes[1].in_flight = 1
    assert not refinable(nodes[1], branch=1)


def test_an_answer_without_a_value_is_not_refined():
    """Nor is the question."""
    nodes = tree_of(0)
    assert not refinable(nodes[0], branch=3)
    assert not refinable(nodes[1], branch=3)


def test_only_answers_with_a_value_have_a_bound():
    """Asking for another is a mistake, not infinity."""
    nodes = tree_of(0)
    for node in nodes:
        with pytest.raises(ValueError, match="value"):
            upper_bound(node, 1, float)


def test_values_on_the_trees_own_scale():
    """-50 to 30: -50 is 0, -10 is 0.5, 30 is 1. Equal values are all 0.5, so are none."""
    nodes = tree_of(0, 0, 0)
    for node, score in zip(nodes[1:], (-50, -10, 30), strict=True):
        reward(node, score)
    scale = rescaled(nodes)
    assert [scale(node.value) for node in nodes[1:]] == [0, 0.5, 1]
    assert rescaled(nodes[1:2])(-50) == 0.5
    assert rescaled([])(1) == 0.5


def test_results_carry_values_from_zero_to_one():
    """-100 is 0, 0 is 0.5, 100 is 1."""
    assert [unit(value) for value in (-100, 0, 90, 100)] == [0, 0.5, 0.95, 1]
