"""Made-up wrong answers: wrong often enough, wrong in believable ways, and labelled by the exact rules alone."""

import random
import re

import pytest

from models.mistakes import careless_word, made_up_answers, slip
from models.problems import KINDS, STEP_BREAK, generate, step_labels

TWO_STEPS = {
    "kind": "word",
    "question": "Ann has 15 pens, buys 27 and gives 8 away. How many are left?",
    "answer": "34",
    "solution": "Pens now: 15+27=42.\n\nPens now: 42-8=34.\n\nThe answer is \\boxed{34}",
    "steps": [[15, "+", 27, 42, []], [42, "-", 8, 34, [0]]],
}


@pytest.mark.parametrize("number", [0, 1, 9, 10, 42, 100, 999])
def test_a_slip_is_another_whole_number(number):
    """Whatever the draw, the result is wrong and not negative."""
    rng = random.Random(number)
    assert all(wrong != number and wrong >= 0 for wrong in (slip(rng, number) for _ in range(200)))


def test_most_slips_are_carries():
    """More than half of the slips change one digit by one, or carry once too often."""
    rng = random.Random(1)
    near = sum(abs(slip(rng, 452) - 452) in (1, 10, 100) for _ in range(500))
    assert near > 250


@pytest.mark.parametrize("kind", KINDS)
def test_some_answers_are_right_and_most_are_not(kind):
    """Both labels come often at the last step, and wrong answers start right often enough to show where they fail."""
    pairs = list(made_up_answers(random.Random(2), generate(kind, 300, 4, "train")))
    labels = [step_labels(record, text.split(STEP_BREAK)) for record, text in pairs]
    assert 0.2 < sum(row[-1] for row in labels) / len(labels) < 0.6
    assert sum(row[0] and not row[-1] for row in labels) / len(labels) > 0.15


def test_what_follows_a_mistake_builds_on_it():
    """The second sum begins with whatever the first one gave, and the box holds what the last one gave."""
    seen = set()
    for seed in range(60):
        text = careless_word(random.Random(seed), TWO_STEPS)
        sums = re.findall(r"(\d+)[-+*/](\d+)=(\d+)", text)
        if len(sums) == 2:
            assert sums[1][0] == sums[0][2] or sums[0][2] == "42"
            assert f"\\boxed{{{sums[1][2]}}}" in text or "boxed" not in text
            seen.add(sums[0][2])
    assert len(seen) > 5


def test_one_seed_gives_one_stream():
    """The same generator state gives the same answers."""
    records = list(generate("countdown", 50, 3, "train"))
    assert list(made_up_answers(random.Random(5), records)) == list(made_up_answers(random.Random(5), records))
