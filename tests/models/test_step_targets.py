"""Dense labels: exactly what a reader can know at each character, and never against the checker."""

import random
from itertools import islice

import pytest

from models.judged import MIX, made_up
from models.judged_drills import judged_states, judged_sums
from models.mistakes import made_up_answers
from models.problems import KINDS, STEP_BREAK, generate, step_labels
from models.problems.check import read_equation
from models.problems.countdown import reachable
from models.step_targets import judged, prefix_marks

PENS = {
    "kind": "word",
    "question": "Ann has 15 pens, buys 27 and gives 8 away. How many are left?",
    "answer": "34",
    "steps": [[15, "+", 27, 42, []], [42, "-", 8, 34, [0]]],
}
GAME = {"kind": "countdown", "question": "Make 24 of 2, 3 and 4.", "numbers": [2, 3, 4], "target": 24}


def drawn(marks):
    """Marks as text: 1 right so far, 0 not, a dot where nothing is said."""
    return "".join("." if mark is None else str(int(mark)) for mark in marks)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("Pens: 15+27=42.", "......111111111"),
        ("Pens: 27+15=42.", "......111111111"),  # a sum in either order
        ("Pens: 15+27=43.", "......111111100"),
        ("Pens: 15-27=42.", "......110000000"),
        ("Pens: 42-8=34.", "......00000000"),  # 42 is not known yet
        ("Pens: nothing", "............."),
    ],
)
def test_a_word_step_is_right_while_a_right_step_begins_so(step, expected):
    """Each character of the formula, and the full stop after it, is judged; the words before are not."""
    assert drawn(judged(PENS, step).marks[0]) == expected


def test_after_a_mistake_every_formula_is_wrong_and_the_box_is_judged_by_the_answer():
    """A wrong step spoils the later ones; a box counts by what it holds, as the checker has it."""
    marks = judged(PENS, STEP_BREAK.join(["15+27=43.", "43-8=35.", "The answer is \\boxed{34}"])).marks
    assert [drawn(each).strip(".") for each in marks] == ["111111100", "00000000", "11"]
    (wrong,) = judged(PENS, "The answer is \\boxed{35}").marks
    assert drawn(wrong).strip(".") == "10"


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("3*2=6. Left: 4 6.", "111111.......1111"),
        ("3*2=6. Left: 6 4.", "111111.......1111"),  # in any order
        ("3*2=6. Left: 6 3.", "111111.......1100"),
        ("3*2=7. Left: 4 7.", "111100.......0000"),
        ("4-3=1. Left: 2 1.", "100000.......0000"),  # "4*" would have led on
    ],
)
def test_a_countdown_step_is_right_while_it_leads_on(step, expected):
    """From 2, 3, 4 the target 24 can be reached by 3*2, 4*2, 4*3 and no difference, so "4-" already leads nowhere."""
    assert drawn(judged(GAME, step).marks[0]) == expected


def test_a_countdown_box_must_repeat_the_play():
    """The expression follows from the steps; where it leaves them, it is wrong, unless the checker accepts it."""
    play = ["3*2=6. Left: 4 6.", "6*4=24. Left: 24."]
    right, other, wrong = (
        judged(GAME, STEP_BREAK.join([*play, f"The answer is \\boxed{{{box}}}"])).marks[-1]
        for box in ("(3*2)*4", "2*3*4", "(3*2)+4")
    )
    assert drawn(right).strip(".") == "1111111"
    assert drawn(other).strip(".") == ""
    assert drawn(wrong).strip(".") == "1111100"


@pytest.mark.parametrize("kind", KINDS)
def test_marks_never_contradict_the_checker(kind):
    """There is a mark or none for each character, and no false one in a right step, whatever the answer."""
    for record, text in made_up_answers(random.Random(3), generate(kind, 300, 5, "train")):
        answer = judged(record, text)
        assert list(answer.verdicts) == step_labels(record, text.split(STEP_BREAK))
        for step, verdict, marks in zip(answer.steps, answer.verdicts, answer.marks, strict=True):
            assert len(marks) == len(step)
            assert not (verdict and False in marks)


def test_prefix_marks_by_hand():
    """152 against 142: the first digit could still become right."""
    assert drawn(prefix_marks("152.", ["142."])) == "1000"


def test_sums_are_judged_line_by_line():
    """Every line's verdict is whether its equation is true, and about half of them are."""
    rng, lines = random.Random(1), 0
    right = 0
    for _ in range(30):
        drill = judged_sums(rng, generate("word", 100, rng.randrange(99), "train"))
        assert not drill.is_answer
        for line, verdict in zip(drill.steps, drill.verdicts, strict=True):
            assert (read_equation(line) is not None) == verdict
            right, lines = right + verdict, lines + 1
    assert 0.4 < right / lines < 0.6


def test_states_are_judged_by_exhaustive_search():
    """Every line's verdict is whether the target can be reached from its numbers, and both come often."""
    rng, verdicts = random.Random(2), []
    records = generate("countdown", 200, 3, "train")
    for _ in range(40):
        drill = judged_states(rng, records)
        target = int(drill.question.split(" can ")[1].split()[0])
        for line, verdict in zip(drill.steps, drill.verdicts, strict=True):
            numbers = tuple(sorted(map(int, line.removeprefix("Left: ").rstrip(".").split())))
            assert reachable(numbers, target) == verdict
            verdicts.append(verdict)
    assert 0.3 < sum(verdicts) / len(verdicts) < 0.6


def test_made_up_rows_repeat_by_seed_and_mix_all_sorts():
    """One seed gives one stream; answers and drills come about as often as `MIX` says."""
    rows = list(islice(made_up(5), 400))
    assert rows == list(islice(made_up(5), 400))
    drills = sum(not row.is_answer for row in rows) / len(rows)
    assert abs(drills - MIX["sums"] - MIX["states"]) < 0.08
