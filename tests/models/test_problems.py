"""Problems: what the generators promise and what the checker accepts."""

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.problems import KINDS, STEP_BREAK, check, generate, step_labels
from models.problems.countdown import reachable
from models.problems.expression import evaluate, last_boxed
from models.problems.record import split_of

WORD = {
    "kind": "word",
    "question": "Tom has 12 apples. He buys 3 bags of 8 apples each. How many apples does he have now?",
    "answer": "36",
    "steps": [[3, "*", 8, 24, []], [12, "+", 24, 36, [0]]],
}
COUNTDOWN = {"kind": "countdown", "question": "", "answer": "(3+5)*7", "numbers": [3, 5, 7], "target": 56}


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_every_gold_solution_is_right_in_every_step(kind, seed):
    """The worked solution of any problem passes the checker, and so does each of its steps."""
    for record in generate(kind, 5, seed):
        assert check(record, record["solution"])
        assert all(step_labels(record, record["solution"].split(STEP_BREAK)))


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_problems(kind):
    """A seed fixes the problems; another seed gives others."""
    first, again, other = (list(generate(kind, 20, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("kind", KINDS)
def test_problems_of_one_stream_are_distinct(kind):
    """No question comes twice in one stream."""
    questions = [record["question"] for record in generate(kind, 300, 3)]
    assert len(set(questions)) == 300


def test_training_and_held_out_problems_are_disjoint_whatever_the_seeds():
    """A problem's split follows from the problem itself, so the two splits can never share one."""
    for kind in KINDS:
        train = {_identity(record) for seed in (1, 2) for record in generate(kind, 200, seed, "train")}
        heldout = {_identity(record) for seed in (1, 9) for record in generate(kind, 200, seed, "heldout")}
        assert not train & heldout
        assert {split_of(identity) for identity in train} == {"train"}
        assert {split_of(identity) for identity in heldout} == {"heldout"}


def _identity(record):
    if record["kind"] == "word":
        return record["question"]
    return f"countdown {sorted(record['numbers'])} {record['target']}"


def test_word_problems_take_two_to_six_steps_and_small_whole_numbers():
    """A word problem has two to six equations, every one exact and within bounds, all lengths occurring."""
    lengths = set()
    for record in generate("word", 400, 5):
        lengths.add(len(record["steps"]))
        for left, op, right, result, _ in record["steps"]:
            assert result == {"+": left + right, "-": left - right, "*": left * right, "/": left / right}[op]
            assert 0 < result <= 999
    assert lengths == {2, 3, 4, 5, 6}


def test_word_problems_come_in_many_phrasings():
    """With names and numbers taken out, hundreds of different texts remain."""
    import re

    shapes = {re.sub(r"[A-Z]\w+|\d+", "_", record["question"]) for record in generate("word", 600, 6)}
    assert len(shapes) > 300


def test_countdown_has_three_or_four_numbers_and_a_solution():
    """Every countdown problem can be solved by the rule of the game."""
    records = list(generate("countdown", 200, 4))
    assert {len(record["numbers"]) for record in records} == {3, 4}
    assert all(reachable(tuple(sorted(record["numbers"])), record["target"]) for record in records)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("3*8=24.\n\n12+24=36.\n\nThe answer is \\boxed{36}", True),
        ("\\boxed{35} no, \\boxed{36}", True),
        ("\\boxed{36} no, \\boxed{35}", False),
        ("\\boxed{ $36 }", True),
        ("\\boxed{036}", True),
        ("\\boxed{36.0}", False),
        ("\\boxed{12+24}", False),
        ("\\boxed{36", False),
        ("\\boxed{}", False),
        ("\\boxed{三十六}", False),
        ("\\boxed{\u0663\u0666}", False),
        ("36", False),
        ("", False),
    ],
)
def test_a_word_problem_is_solved_by_the_last_box_alone(text, right):
    """The last box must hold the whole number that is the answer, and nothing else counts."""
    assert check(WORD, text) is right


@pytest.mark.parametrize(
    ("boxed", "right"),
    [
        ("(3+5)*7", True),
        ("7 * (5 + 3)", True),
        ("7\\times(5+3)", True),
        ("7*5+7*3", False),
        ("56", False),
        ("8*7", False),
        ("(3+5)*7+0", False),
        ("(3+5)*7 = 56", False),
        ("3+5*7", False),
        ("7(5+3)", False),
        ("(3+5)*7)", False),
        ("((3+5)*7", False),
        ("-(3+5)*-7", False),
        ("7/(3-3)", False),
        ("__import__('os')", False),
        ("9**9**9", False),
    ],
)
def test_countdown_is_solved_by_an_expression_with_each_number_once(boxed, right):
    """The boxed expression must use exactly the given numbers, once each, and be worth the target."""
    assert check(COUNTDOWN, f"\\boxed{{{boxed}}}") is right


@given(text=st.text() | st.text(alphabet="\\boxed{}()+-*/0123456789 ."))
def test_no_text_upsets_the_checker(text):
    """Whatever the completion, the checker answers true or false."""
    for record in (WORD, COUNTDOWN):
        assert check(record, text) in (True, False)
        assert check(record, f"\\boxed{{{text}}}") in (True, False)
        step_labels(record, text.split(STEP_BREAK))


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["(" * 10**6, "\\boxed{" * 10**5, "\\boxed{" + "(" * 150 + "}", "9" * 10**6])
def test_hostile_text_neither_hangs_nor_overflows(text):
    """Huge, deep or repeated text is refused in time linear in its length."""
    assert not check(COUNTDOWN, text)
    assert not check(WORD, text)
    step_labels(COUNTDOWN, [text])
    step_labels(WORD, [text])


def test_expressions_are_exact():
    """Division is exact: a third times three is one."""
    assert evaluate("1/3*3") == (1, [1, 3, 3])
    assert evaluate("(" * 20 + "1" + ")" * 20) is None
    assert last_boxed("a \\boxed{b{c}d} e") == "b{c}d"


@given(seed=st.integers(0, 10**6), data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_wrong_result_spoils_its_step_and_all_before_the_box(seed, data):
    """After a changed result, that step and every later equation are labelled wrong."""
    (record,) = generate("word", 1, seed)
    steps = record["solution"].split(STEP_BREAK)
    index = data.draw(st.integers(0, len(steps) - 2))
    head, result = steps[index].rstrip(".").rsplit("=", 1)
    steps[index] = f"{head}={int(result) + 1}."
    labels = step_labels(record, steps)
    assert labels[:index] == [True] * index
    assert labels[index:-1] == [False] * (len(steps) - 1 - index)


@pytest.mark.parametrize(
    ("steps", "labels"),
    [
        (["Bought: 3*8=24.", "Now: 12+24=36.", "\\boxed{36}"], [True, True, True]),
        (["Bought: 8 * 3 = 24.", "Now: 24 + 12 = 36.", "\\boxed{36}"], [True, True, True]),
        (["Now: 12+24=36.", "Bought: 3*8=24."], [False, False]),
        (["Bought: 3*8=24.", "Bought: 3*8=24."], [True, False]),
        (["Bought: 3+8=11.", "Now: 12+11=23.", "\\boxed{23}"], [False, False, False]),
        (["Bought: 3*8=25.", "Now: 12+24=36.", "\\boxed{36}"], [False, False, True]),
        (["Bought: 2+3*8=24."], [False]),
        (["Let me think.", "Bought: 3*8=24."], [False, False]),
    ],
)
def test_word_step_labels_by_hand(steps, labels):
    """A step counts when it computes a needed quantity whose operands are known; the box has the checker's verdict."""
    assert step_labels(WORD, steps) == labels


@pytest.mark.parametrize(
    ("steps", "labels"),
    [
        (["5+3=8. Left: 7 8.", "8*7=56. Left: 56.", "\\boxed{(5+3)*7}"], [True, True, True]),
        (["7+3=10. Left: 5 10."], [False]),
        (["5+3=8. Left: 8 7.", "8+7=15. Left: 15."], [True, False]),
        (["5+3=9. Left: 7 9."], [False]),
        (["5+3=8. Left: 7."], [False]),
        (["5+4=9. Left: 3 9."], [False]),
        (["5+5=10. Left: 3 7 10."], [False]),
        (["7*5=35. Left: 3 35.", "\\boxed{(3+5)*7}"], [False, True]),
    ],
)
def test_countdown_step_labels_by_hand(steps, labels):
    """A step counts when it is exact, lists what is left, and the target can still be reached from there."""
    assert step_labels(COUNTDOWN, steps) == labels


@given(numbers=st.lists(st.integers(1, 9), min_size=2, max_size=3), target=st.integers(0, 60))
def test_reachability_agrees_with_brute_force(numbers, target):
    """The solver finds a way exactly when some order and bracketing of the numbers gives the target."""
    assert reachable(tuple(sorted(numbers)), target) == (target in _all_results(numbers))


def _all_results(numbers):
    if len(numbers) == 1:
        return set(numbers)
    found = set()
    for i, a in enumerate(numbers):
        for j, b in enumerate(numbers):
            if i != j:
                rest = [n for k, n in enumerate(numbers) if k not in (i, j)]
                values = {a + b, a * b} | ({a - b} if a >= b else set()) | ({a // b} if b and a % b == 0 else set())
                found |= {result for value in values for result in _all_results([*rest, value])}
    return found


def test_the_command_writes_json_lines_of_held_out_problems():
    """`python -m models.problems` writes one JSON object a line, by default from the held-out split."""
    command = [sys.executable, "-m", "models.problems", "--kind", "word", "--count", "3", "--seed", "11"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [json.loads(line) for line in lines] == list(generate("word", 3, 11, "heldout"))


def test_problems_need_the_standard_library_only():
    """The generator and the checker start without torch, transformers and the like."""
    code = "import sys, models.problems; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_impossible_wish_is_refused():
    """Asking for an unknown family, or for more distinct problems than exist, is a plain error."""
    with pytest.raises(ValueError, match="unknown kind"):
        list(generate("chess", 1, 0))
