"""Chats in Chinese, with emoji, with code and with no answer at all: every preset answers them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward, mean_probability
from engine.scripted_language import END, Options
from mcts.strategies import STRATEGIES
from mcts.strategies.marco_o1 import REFLECTION_TEXT
from mcts.strategies.refine_prompts import CRITIQUE_REQUEST, GRADE_REQUEST
from reward.answers import StandardAnswers
from reward.registry import build_rewards
from reward.verifier import Verifier
from server.presets import PRESETS
from tests.server.service import Service, backend, serving
from tests.server.test_streaming import deltas

CODE = "```python\ndef f(x):\n\n    return {'a': x ** 2}  # <b>\n```"

TEXTS = {
    "三加四等于几？": ("我想一想。\n\n三加四等于七，答案是 \\boxed{七}。", "我想一想。\n\n不知道。"),
    "展开 (x+1)²": ("所以 \\boxed{(x+1)^2}", "即\n\n\\boxed{x^2+2x+1}"),
    "🤔 2️⃣+2️⃣?": ("🌳🌲\n\n\\boxed{4️⃣}", "👩‍👩‍👧‍👦 🏳️‍🌈\n\n🍂"),
    "Write `f` in Python.\n\n```python\nassert f(2) == {'a': 4}\n```": (CODE, "print(1)\n\n\\boxed{\\frac{"),
    "Write a poem about autumn.": ("Leaves fall.\n\nThey are red.", "Autumn:\n\nno leaf in 1984 stayed."),
    " ": ("", "\n\n"),
}
"""Questions, and the two things that the model may say to each: with and without an answer, broken ones, nothing."""

REWRITERS = {"self-refine", "mctsr", "ab-mcts", "uct-reflection", "marco-o1"}
"""Presets that make answers of answers."""

EMOJI = TEXTS["🤔 2️⃣+2️⃣?"]
"""What it says to any other turn, such as the request for a better answer."""


def says(prompt: str, so_far: str) -> Options | None:
    """The model: one of the two texts to a question; as a judge it says the word or the grade it is asked for."""
    turns = re.split(r"<(?:system|user|assistant)>", prompt)[1:-1]
    request = turns[-1]
    options: Options = [(text, 0.5) for text in EMOJI]
    if GRADE_REQUEST in request or "Score:" in request:
        options = [("很好 👍\nScore: 7", 1.0)]
    elif request == CRITIQUE_REQUEST:
        options = [("太短了 🙁", 1.0)]
    elif question := next((each for each in TEXTS if any(turn.strip() == each.strip() for turn in turns)), ""):
        first, second = TEXTS[question]
        options = [(first or END, 0.6), (second, 0.4)]
    latest = so_far.rpartition(f"{REFLECTION_TEXT}\n\n")[2]
    if not latest:
        return options
    return [(END, 1.0)] if any(latest == text for text, _ in options) else None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Service]:
    """A server with every reward and with algebra, on a model that says all this."""
    engine = ScriptedEngine(says)
    model = ScriptedReward(mean_probability)
    rewards = {**build_rewards(None, engine.tokenizer), "prm": model, "orm": model}
    made = backend(engine, rewards=rewards, answers=StandardAnswers(verifier=Verifier()))
    async with serving(engine, made=made) as running:
        yield running


def small(preset: str) -> dict[str, Any]:
    """A budget for few calls, in the words of the preset's strategy."""
    strategy = next(each.search["strategy"] for each in PRESETS if each.name == preset)
    options = type(STRATEGIES[strategy].defaults).__dataclass_fields__
    if strategy in ("direct", "cot", "cot_decoding", "search-and-learn", "search-and-learn-dvts"):
        return {}
    counted = next((name for name in ("samples", "beams", "particles") if name in options), "")
    return {counted: 4} if counted else {"budget": {"simulations": 3}}


def said(question: str, text: str) -> bool:
    """Whether a text is what the model said to a question, whole; or that, thought over; or an answer made of it."""
    parts = text.split(REFLECTION_TEXT) if text else [""]
    own, others = {each.strip() for each in TEXTS[question]}, {each.strip() for each in EMOJI}
    return all(part.strip() in own | others for part in parts)


def test_all_strategies_are_here() -> None:
    """Every strategy has a preset, so the test below meets all of them."""
    assert {preset.search["strategy"] for preset in PRESETS} == set(STRATEGIES)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("question", TEXTS, ids=["chinese", "algebra", "emoji", "code", "no-answer", "blank"])
@pytest.mark.parametrize("preset", [preset.name for preset in PRESETS])
async def test_every_preset_answers_every_kind_of_text(server: Service, preset: str, question: str) -> None:
    """The reply, streamed or not, is what the model says, whole; tokens are counted, and no call is left open."""
    fields: dict[str, Any] = {"model": f"abacus:{preset}", "seed": 5, "max_tokens": 300, "search": small(preset)}
    reply = await server.answer(question, **fields)
    content = reply["choices"][0]["message"]["content"]
    if preset in REWRITERS:
        assert said(question, content)
    else:
        assert content in TEXTS[question]
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"]["completion_tokens"] > 0
    assert reply["search"]["stop_reason"] != "failed"
    streamed = await server.stream(question, **fields)
    assert streamed[-1] == "[DONE]"
    assert said(question, deltas(streamed, "content"))
    assert server.engine.open_calls == 0
