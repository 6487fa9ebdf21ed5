"""Extraction and equivalence of answers."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcts.errors import StartupError
from reward.answers import StandardAnswers
from reward.arithmetic import evaluate
from reward.equivalence import key
from reward.extraction import RULES, extract, json_field


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so it is \boxed{42}.", "42"),
        (r"\boxed{1} no: \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}} done", r"\frac{1}{2}"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{3} and then \boxed{4", "3"),
        (r"{ open \boxed{7}", "7"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{} The answer is 8", "8"),
        ("<answer> 9 </answer>", "9"),
        ("work\n#### 12,345\nmore", "12,345"),
        ("The answer is 3.5. Good.", "3.5"),
        ("The final answer is: **42**.", "42"),
        ("Answer: (3+5)*7-2", "(3+5)*7-2"),
        ("因此答案是 42。", "42"),
        (r"The answer is 1. \boxed{2}", "2"),
        ("#### Step 3: Conclusion\nThe answer is 42.", "42"),
        ("#### 3. Conclusion\nThe answer is 42.", "42"),
        ("#### 42\n\n#### Check\nIt is right.", "42"),
        ("#### **$5.50**\nmore", "**$5.50**"),
        ("#### 12 apples\nmore", "12 apples"),
        ("####\n-3/4\nmore", "-3/4"),
        ("work\n#### blue whale\n", "blue whale"),
        ("The final answer is:\n\n\\[ 42 \\]", "\\[ 42 \\]"),
        ("The answer is:\n$$42$$", "$$42$$"),
        ("The answer is:\n$$\n42\n$$", "42"),
        ("The final answer is:\n\\[\n42\n\\]\n", "42"),
        ("**Final Answer:**\n42", "42"),
        ("答案是：42。", "42"),
        ("The answer is 7. **Final answer:**\n$$", "7"),
    ],
)
def test_answers_are_found(text: str, answer: str) -> None:
    """Boxes come first, then tags, hashes and phrases; the last of each counts."""
    assert extract(text) == answer


@pytest.mark.parametrize(
    "text",
    ["", "Once upon a time in 1984.", "print('hi')\n```\nx = {1: 2}\n```", "🙂🙃", "你好，世界", "\\boxed{", "}}}{{{",
     "<answer>", "</answer><answer>", "the answer is", "####",
     "#### Step 1\nWe add.", r"\boxed{   }", r"\boxed{" + "x" * 600 + "}"],
)  # fmt: skip
def test_free_text_has_no_answer(text: str) -> None:
    """Prose, code, emoji, other scripts, broken marks and endless boxes give None."""
    assert extract(text) is None


def test_last_number_only_where_configured() -> None:
    """Any story has a number in it, so the last one is an answer only when the settings say so."""
    text = "In 1984 there were 1,234.5 of them"
    assert StandardAnswers().extract(text) is None
    assert StandardAnswers(rules=("boxed", "number")).extract(text) == "1234.5"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"answer": "42"}', "42"),
        ('{"why": "x", "answer" : 4.50}', "4.5"),
        ('```json\n{"answer": [1, 2]}\n```', "[1,2]"),
        ('{"answer": {"x": "四 🙂"}}', '{"x":"四 🙂"}'),
        ('{"answer": true}', "true"),
        ('{"answer": 1} and then {"answer": 2}', "2"),
        ('{"answer": 3} then broken {"answer": [1, ', "3"),
        ('{"answer": "cut off later", "why": "beca', "cut off later"),
        ('{"answer": null}', None),
        ('{"the answer": 1, "answers": 2}', None),
        ('{"answer": ' + "[" * 900, None),
        ("answer: 3", None),
        ("", None),
    ],
)
def test_json_fields(text: str, answer: str | None) -> None:
    """The last field of that name whose value is JSON, as it is written there."""
    assert StandardAnswers(rules=("json",)).extract(text) == answer


def test_json_field_can_have_any_name() -> None:
    """The settings name it; it is a text, not an expression."""
    reader = StandardAnswers(rules=("json",), json_name='结果 (a.b"c)')
    assert reader.extract('{"结果 (a.b\\"c)": 7, "answer": 8}') == "7"


@pytest.mark.parametrize(
    ("expression", "text", "answer"),
    [
        (r"RESULT=\S+", "RESULT=1 RESULT=2 end", "RESULT=2"),
        (r"RESULT=(\S+)", "RESULT=1 RESULT=2 end", "2"),
        (r"(?:a|b)=(?P<value>\d+)", "a=1 b=23", "23"),
        (r"结果是(.+?)。", "结果是四。", "四"),
        (r"x(\d)?", "x", None),
        (r"RESULT", "nothing", None),
    ],
)
def test_patterns_of_the_operator(expression: str, text: str, answer: str | None) -> None:
    """The last match; its first group where it has one."""
    assert StandardAnswers(rules=("pattern",), expression=expression).extract(text) == answer


def test_wrong_and_missing_patterns_stop_the_start() -> None:
    """An expression that is none, and a rule without its expression."""
    with pytest.raises(StartupError, match=r"'\(' is no regular expression"):
        StandardAnswers(rules=("pattern",), expression="(")
    with pytest.raises(StartupError, match="'pattern' needs answer_pattern"):
        StandardAnswers(rules=("pattern",))


def test_pattern_that_backtracks_forever_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """(a|aa)+ on many a's would take longer than the universe: the event loop is free again after 0.1 s."""
    reader = StandardAnswers(rules=("pattern", "phrase"), expression=r"(?:a|aa)+\d{9}")
    start = time.process_time()  # the processor's: a busy machine makes nothing slow here
    assert reader.extract("a" * 5_000 + " the answer is 3") == "3"
    assert time.process_time() - start < 2.0
    assert "given up" in caplog.text


def test_without_rules_every_text_is_free() -> None:
    """Then the best-valued path wins instead of a vote."""
    assert StandardAnswers(rules=()).extract(r"\boxed{4}") is None


def test_unknown_rule_is_refused_with_the_list() -> None:
    """A misspelt rule stops the start."""
    with pytest.raises(StartupError, match=r"'bxed'\. Known: boxed, tag"):
        StandardAnswers(rules=("bxed",))


async def test_group_gives_the_first_equivalent() -> None:
    """The port's own example."""
    assert await StandardAnswers().group(["1/2", "7", "0.5"]) == [0, 1, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [("1/2", "0.5"), (r"\frac{1}{2}", "0.5"), (r"\dfrac12", "1/2"), ("$54$", "54.00"), ("(3+5)*7-2", "54"),
     ("(3+5)*7-2 = 54", "54"), ("3 × 4 ÷ 2", "6"), ("1,234", "1234"), ("−3", "-3"), ("x = 7", "7"), ("５４", "54"),
     ("Yes.", "yes"), (r"\text{North}", "north"), (r"\left(1, 2\right)", "(1,2)"), (r"\frac{\frac{1}{2}}{2}", "0.25"),
     (r"\$5", "5"), ("50%", r"50\%"), (".5", "0.50"), ("--3", "3"), ("1,234,567", "1234567"),
     (r"\frac{1,234}{2}", "617"), ("( 0, 100 )", "(0,100)")],
)  # fmt: skip
def test_equivalent_answers_share_a_key(one: str, other: str) -> None:
    """Numbers by exact value, everything else as text without dressing."""
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("5²", "52"), ("1 1/2", "11/2"), ("3½", "31/2"), ("0.1+0.2", "0.30000000000000004"), ("1/0", "0"),
     ("(1,2)", "(2,1)"), ("(0,100)", "100"), ("(2,500)", "2500"), ("[2,500]", "2500"), (r"\{2,500\}", "2500"),
     ("0,100", "100"), ("(2,500]", "(2500]"),
     ("1/3", "0.333"), ("50%", "50"), ("3 4", "34"), ("2+2=5", "5"), ("-3", "3"), ("A", "B"), ("", "0")],
)  # fmt: skip
def test_different_answers_differ(one: str, other: str) -> None:
    """What only looks alike is not the same."""
    assert key(one) != key(other)


@given(st.recursive(
    st.integers(0, 99).map(str),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({''.join(parts)})"),
    max_leaves=8,
))  # fmt: skip
def test_arithmetic_agrees_with_python(expression: str) -> None:
    """The parser gives what Python gives for the same expression."""
    assert evaluate(expression) == Fraction(eval(expression))  # noqa: S307 - built from digits and signs above


@pytest.mark.parametrize(
    "text", ["(" * 10_000, "-" * 199, "9" * 300, "1/0", "1//2", "1 2", "2**3", "()", "1e5", "x", ""]
)
def test_arithmetic_refuses_what_is_none(text: str) -> None:
    """Too long, too deep, divided by zero or no arithmetic: None, never an exception."""
    assert evaluate(text) is None


@given(st.text(max_size=300))
async def test_any_text_is_read_without_an_error(text: str) -> None:
    """Extraction, keys and grouping hold for whatever a model may write."""
    reader = StandardAnswers(rules=(*RULES, "json"))
    answer = reader.extract(text)
    assert answer is None or answer.strip() == answer != ""
    assert await reader.group([text, text]) == [0, 0]


@pytest.mark.parametrize(
    "unit",
    [
        "\\boxed{",
        "{",
        "}",
        "\\",
        "<answer>",
        "####",
        "####\n",
        "#### x\n",
        "answer: ",
        "answer:\n",
        "the answer is$$\n",
        '"answer":',
        '"answer":[',
        "1,",
        "\\frac",
        "((",
        "1.",
        " ",
    ],
)
def test_hostile_repetition_costs_no_more_than_its_length(unit: str) -> None:
    """A megabyte of one mark is read in well under a second."""
    text = unit * (1_000_000 // len(unit))
    start = time.perf_counter()
    for rule in (*RULES.values(), json_field("answer")):
        rule(text[-200_000:])
    extract(text, tuple(RULES))
    key(text)
    assert time.perf_counter() - start < 2.0
