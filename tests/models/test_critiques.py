"""Turns about answers: worded as the searches and rewards word them, true by the exact checker."""

import random

import pytest

from mcts.strategies.refine_prompts import CRITIQUE_REQUEST, GRADE_REQUEST, REWRITE_REQUEST
from mcts.strategies.self_rewards import read_score
from models.critiques import critique, grade, judge, refine, self_evaluation
from models.problems import KINDS, check, generate
from reward.generative import ANSWER_SYSTEM
from reward.judge import SYSTEM

RECORD = {
    "kind": "word",
    "question": "Ann has 15 pens, buys 27 and gives 8 away. How many are left?",
    "answer": "34",
    "steps": [[15, "+", 27, 42, []], [42, "-", 8, 34, [0]]],
}


def test_a_critique_names_the_first_wrong_step():
    """The second step is wrong; a right answer is praised."""
    wrong = "15+27=42.\n\n42-8=35.\n\nThe answer is \\boxed{35}"
    assert critique(random.Random(1), RECORD, wrong) == "Step 2 is wrong."
    right = "15+27=42.\n\n42-8=34.\n\nThe answer is \\boxed{34}"
    assert "wrong" not in critique(random.Random(1), RECORD, right)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rewrite_is_right_and_the_requests_are_the_searches(kind):
    """Question, answer, request, critique, request, right answer."""
    rng = random.Random(2)
    records = generate(kind, 200, 4, "train")
    turns = refine(rng, records)
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 3
    assert [turns[2]["content"], turns[4]["content"]] == [CRITIQUE_REQUEST, REWRITE_REQUEST]
    record = next(each for each in generate(kind, 200, 4, "train") if each["question"] == turns[0]["content"])
    assert check(record, turns[-1]["content"])


@pytest.mark.parametrize("kind", KINDS)
def test_grades_can_be_read_and_tell_right_from_wrong(kind):
    """A right answer is graded above 0 and never in full, a wrong one below 0; both come often."""
    rng, signs = random.Random(3), []
    by_question = {record["question"]: record for record in generate(kind, 2000, 6, "train")}
    records = iter(by_question.values())
    for _ in range(60):
        asked, told = grade(rng, records)
        question, answer = asked["content"].removeprefix("Question:\n").split("\n\nAnswer:\n")
        answer = answer.removesuffix(f"\n\n{GRADE_REQUEST}")
        score = read_score(told["content"])
        assert score is not None
        assert (score > 0) == check(by_question[question], answer)
        assert -100 < score <= 95
        signs.append(score > 0)
    assert 0.25 < sum(signs) / len(signs) < 0.8


def test_judge_and_self_evaluation_use_the_rewards_own_turns():
    """The system turns are the rewards', and the replies can be read by them."""
    rng, records = random.Random(4), generate("word", 200, 7, "train")
    turns = judge(rng, records)
    assert turns[0] == {"role": "system", "content": SYSTEM}
    assert turns[-1]["content"].splitlines()[-1].startswith("Score: ")
    turns = self_evaluation(rng, records)
    assert turns[0] == {"role": "system", "content": ANSWER_SYSTEM}
    assert turns[-1]["content"] in ("Yes", "No")
