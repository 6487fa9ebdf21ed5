"""Rewards by rule and by the operator's own functions."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import time
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcts.errors import RewardCallFailed, StartupError
from reward.answers import StandardAnswers
from reward.plugins import FunctionReward, load_function
from reward.rules import RULES, ExactAnswer, RuleReward, has_box, json_schema_rule, thinks_then_answers
from tests.reward.fakes import path

# Rules of form


@pytest.mark.parametrize(
    ("text", "obeys"),
    [
        (r"so \boxed{4}.", True),
        (r"\boxed{\frac{1}{2}}", True),
        (r"答案 \boxed{四} 🙂", True),
        (r"\boxed{ }", False),
        (r"\boxed{4", False),
        ("4", False),
        ("", False),
    ],
)
def test_boxed_form(text: str, obeys: bool) -> None:
    """A complete box with something in it."""
    assert has_box(text) is obeys


@pytest.mark.parametrize(
    ("text", "obeys"),
    [
        ("<think>a</think><answer>4</answer>", True),
        ("\n<think>\n想\n</think>\n\n<answer>\n四 🙂\n</answer>\n", True),
        ("<think></think><answer>4</answer>", True),
        ("<think>a</think><answer> </answer>", False),
        ("x <think>a</think><answer>4</answer>", False),
        ("<think>a</think> so <answer>4</answer>", False),
        ("<think>a</think><answer>4</answer> done", False),
        ("<answer>4</answer><think>a</think>", False),
        ("<think>a</think><answer>4</answer><answer>5</answer>", False),
        ("<think>a<think>b</think><answer>4</answer>", False),
        ("<think>a</think><answer>4", False),
        ("4", False),
        ("", False),
    ],
)
def test_tags_form(text: str, obeys: bool) -> None:
    """Each tag once, in order, nothing but blanks outside, something in the answer."""
    assert thinks_then_answers(text) is obeys


PARTS = st.sampled_from([*"<>/a ", "<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "}"])


@given(st.lists(PARTS, max_size=40).map("".join))
async def test_rules_hold_for_any_text(text: str) -> None:
    """1 or 0, whatever a model writes."""
    for rule in RULES.values():
        (score,) = await RuleReward(rule).score([path(text)])
        assert score.value in {0.0, 1.0}


def test_hostile_text_costs_no_more_than_its_length() -> None:
    """Half a million open tags are read in well under a second."""
    start = time.perf_counter()
    for unit in ("<think>", "</think><answer>", "<answer>", "\\boxed{"):
        for rule in RULES.values():
            rule(unit * 60_000)
    assert time.perf_counter() - start < 2.0


# The right answer


async def test_exact_answer_is_equivalence_not_substring() -> None:
    """1/2 is 0.5; 5 is not 15 (D14: a substring is no answer); no answer is wrong, even where nothing is expected."""
    rule = ExactAnswer("0.5", StandardAnswers())
    texts = [r"\boxed{\frac12}", r"\boxed{0.50}", r"\boxed{10.5}", "just half", ""]
    assert [score.value for score in await rule.score([path(text) for text in texts])] == [1, 1, 0, 0, 0]
    five = ExactAnswer("5", StandardAnswers())
    assert [score.value for score in await five.score([path(r"\boxed{15}"), path("The answer is 5.")])] == [0, 1]
    assert [score.value for score in await ExactAnswer("", StandardAnswers()).score([path("none")])] == [0]


# JSON Schema

SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}


@pytest.mark.parametrize(
    ("text", "obeys"),
    [
        ('{"sum": 4}', True),
        ('Here:\n```json\n{"sum": 4}\n```\nDone.', True),
        ('```\n{"sum": "x"}\n```\n```json\n{"sum": 5}\n```', True),
        ('```python\nprint(4)\n```\nIt prints:\n```json\n{"sum": 4}\n```', True),
        ('```json\n{"sum": 4}\n```\nby\n```python\nprint(4)\n```\n', True),
        ('```python\n{"sum": 4}\n```', False),
        ('- so:\n  ```JSON\n  {"sum": 4}\n  ```', True),
        ('```json\n{"sum": 4}', False),
        ("```x\n" * 50_000, False),
        ('{"sum": "4"}', False),
        ('{"sum": 4', False),
        ("答案 4 🙂", False),
        ("[" * 100_000, False),
        ('{"sum": ' + "9" * 10_000 + "}", False),
        ("", False),
    ],
)
def test_json_schema(text: str, obeys: bool) -> None:
    """The text itself, or its last fenced block of JSON or no language; broken, endless and nested JSON is no JSON."""
    assert json_schema_rule(SCHEMA)(text) is obeys


def test_wrong_schema_stops_the_start() -> None:
    """A schema that is none never becomes a rule that accepts everything."""
    with pytest.raises(StartupError, match="JSON Schema is wrong: 'numbr' is not valid"):
        json_schema_rule({"type": "numbr"})


def test_schemas_are_never_fetched() -> None:
    """A reference to elsewhere is an error of the reward, not a call over the network."""
    rule = json_schema_rule({"$ref": "http://127.0.0.1:9/none.json"})
    with pytest.raises(RewardCallFailed, match="outside itself"):
        rule("1")


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway without jsonschema says so at start."""
    monkeypatch.setitem(sys.modules, "jsonschema.exceptions", None)
    with pytest.raises(StartupError, match="'jsonschema' is not installed"):
        json_schema_rule(SCHEMA)


# Functions


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An importable module of the operator's."""
    module = ModuleType("own_rewards")
    monkeypatch.setitem(sys.modules, "own_rewards", module)
    return module


async def test_plain_and_async_functions_get_question_and_answer(own: ModuleType) -> None:
    """Both kinds, also behind a partial and as an object's ``__call__``."""
    seen: list[tuple[str, str]] = []

    def plain(question: str, answer: str) -> float:
        seen.append((question, answer))
        return 0.25 if "2" in answer else 0.0

    async def asynchronous(question: str, answer: str) -> bool:
        await asyncio.sleep(0)
        return answer.endswith("2")

    class Judge:
        async def __call__(self, *asked: str, strict: bool = True) -> float:
            return 0.5 if strict and len(asked) == 2 else 0.0

    async def scaled(scale: float, question: str, answer: str) -> float:
        return scale

    own.plain, own.asynchronous, own.judge = plain, asynchronous, Judge()
    own.scaled = functools.partial(scaled, 0.75)
    expected = {"plain": [0.25, 0.0], "asynchronous": [1.0, 0.0], "judge": [0.5, 0.5], "scaled": [0.75, 0.75]}
    for name, values in expected.items():
        reward = load_function("mine", f"own_rewards:{name}")
        assert [score.value for score in await reward.score([path("1 + 1 = 2"), path("三")])] == values
    assert sorted(seen) == [("What is 1 + 1?", "1 + 1 = 2"), ("What is 1 + 1?", "三")]


async def test_slow_function_holds_up_nobody() -> None:
    """A plain function runs beside the event loop, and a cancelled call does not wait for it."""
    release = threading.Event()
    reward = FunctionReward("slow", lambda _, __: release.wait(10) and 1.0)
    task = asyncio.create_task(reward.score([path("x")]))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()


async def test_slow_functions_leave_the_loops_own_threads_alone() -> None:
    """However many calls of one are under way, what else needs a thread gets one."""
    release = threading.Event()
    reward = FunctionReward("slow", lambda _, __: release.wait(20) and 1.0)
    task = asyncio.create_task(reward.score([path("x")] * 64))
    await asyncio.sleep(0.01)
    try:
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(lambda: 7) == 7
    finally:
        release.set()
    assert len(await task) == 64


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan"), float("inf"), None, "much"])
async def test_value_that_is_no_reward_is_an_error(value: object) -> None:
    """Nothing is clipped or guessed: what is not a number from 0 to 1 fails the call."""
    with pytest.raises(RewardCallFailed, match="'mine'"):
        await FunctionReward("mine", lambda _, __: value).score([path("x")])


async def test_function_that_raises_fails_the_call() -> None:
    """The class of the error is told; its text, which may hold anything, is not."""

    def broken(_: str, __: str) -> float:
        raise KeyError("secret")

    with pytest.raises(RewardCallFailed, match=r"'mine' failed: KeyError\.$"):
        await FunctionReward("mine", broken).score([path("x")])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("own_rewards", "must be named package.module:function"),
        (":f", "must be named package.module:function"),
        ("no_such_module:f", "cannot be loaded from 'no_such_module:f': ModuleNotFoundError"),
        ("own_rewards:missing", "cannot be loaded"),
        ("own_rewards:number", "must be a function of a question and an answer"),
        ("own_rewards:single", "must be a function of a question and an answer"),
    ],
)
def test_what_cannot_be_called_stops_the_start(own: ModuleType, target: str, message: str) -> None:
    """Found out before the first request."""
    own.number, own.single = 3, lambda _: 1.0
    with pytest.raises(StartupError, match=message):
        load_function("mine", target)
