"""Thoughts and answers of models that think aloud."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.scripted import ScriptedEngine
from engine.scripted_language import END, ScriptedTokenizer, pieces_of, script_from
from server.thoughts import FORMATS, Split, ThoughtSplitter, split
from tests.server.service import serving

THINK, THOUGHT = FORMATS


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("plain", None, "plain"),
        ("", None, ""),
        ("  plain <think>late</think>", None, "  plain <think>late</think>"),
        ("<think>\nhm\n</think>\n\n42", "\nhm\n", "42"),
        ("\n<think>hm</think>42", "hm", "42"),
        ("<think></think>42", "", "42"),
        ("<think>cut off", "cut off", ""),
        ("<think>cut off</thi", "cut off</thi", ""),
        ("<thin", None, "<thin"),
        ("<think>a < b</think>1 < 2", "a < b", "1 < 2"),
        ("<Thought>hm</Thought>\n<Output>42</Output>\n", "hm", "42\n"),
        ("<Thought>hm</Thought>\n<Output>42", "hm", "42"),
        ("<Thought>hm</Thought>\n42", "hm", "42"),
        ("<Thought>hm</Thought>\n<Outp", "hm", "<Outp"),
    ],
)
def test_a_text_is_split_at_its_marks(text: str, thought: str | None, answer: str) -> None:
    """A mark counts at the beginning only; what is cut off stays where it stood."""
    done = split(text, ThoughtSplitter())
    assert (done.thought, done.answer) == (thought, answer)


def test_a_thought_that_the_prompt_opened() -> None:
    """The text begins inside it."""
    assert split("hm</think>42", ThoughtSplitter(THINK)) == Split("hm", "42", len("hm</think>"))
    assert split("hm", ThoughtSplitter(THINK)) == Split("hm", "", 2)


@given(
    st.lists(st.sampled_from(["<", "think>", "</", "<think>", "</think>", "a", " ", "\n", "<Thought>", "</Thought>",
                              "<Output>", "</Output>", "Out"]), max_size=8),
    st.lists(st.integers(0, 60), max_size=6),
)  # fmt: skip
def test_pieces_make_no_difference(parts: list[str], cuts: list[int]) -> None:
    """Wherever a text is cut, the split is that of the whole, thoughts never follow answers, and nothing is lost."""
    text = "".join(parts)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    splitter = ThoughtSplitter()
    pieces = [piece for a, b in itertools.pairwise(places) for piece in splitter.feed(text[a:b])]
    pieces += splitter.end()
    whole = split(text, ThoughtSplitter())
    assert "".join(piece.text for piece in pieces if piece.thought) == (whole.thought or "")
    assert "".join(piece.text for piece in pieces if not piece.thought) == whole.answer
    assert [piece.thought for piece in pieces] == sorted((piece.thought for piece in pieces), reverse=True)
    assert text[whole.answer_from :].startswith(whole.answer[:1])


TABLE: dict[str, Any] = {
    "": [("<think>", 1.0)],
    "<think>": [("So it is 42.", 1.0)],
    "<think>So it is 42.": [("</think>", 1.0)],
    "<think>So it is 42.</think>": [("\n\n", 1.0)],
    "<think>So it is 42.</think>\n\n": [("The answer is 42", 1.0)],
    "<think>So it is 42.</think>\n\nThe answer is 42": [(END, 1.0)],
}


def thinker() -> ScriptedEngine:
    """A model that thinks before it answers."""
    return ScriptedEngine(script_from(TABLE), ScriptedTokenizer(pieces_of(TABLE)))


@pytest.mark.parametrize("strategy", ["direct", "majority", "uct"])
async def test_a_chat_has_its_thought_in_the_reasoning_fields(strategy: str) -> None:
    """Whole and streamed: the answer alone is content, and its log-probabilities are the answer's."""
    async with serving(thinker()) as service:
        how: dict[str, Any] = {"search": {"strategy": strategy, "progress": False}, "logprobs": True}
        (choice,) = (await service.answer("hm", **how))["choices"]
        events = await service.stream("hm", **how)
    message = choice["message"]
    assert message["content"] == "The answer is 42"
    assert message["reasoning"] == message["reasoning_content"] == "So it is 42."
    assert [token["token"] for token in choice["logprobs"]["content"]] == ["The answer is 42"]
    deltas = [event["choices"][0]["delta"] for event in events if isinstance(event, dict) and event["choices"]]
    assert "".join(delta.get("reasoning") or "" for delta in deltas) == "So it is 42."
    assert "".join(delta.get("content") or "" for delta in deltas) == "The answer is 42"
    told = [bool(delta.get("content")) for delta in deltas if delta.get("content") or delta.get("reasoning")]
    assert told == sorted(told)  # no reasoning after content


async def test_a_setting_leaves_texts_alone() -> None:
    """With reasoning_format none the content is what the model wrote, and there is no reasoning."""
    async with serving(thinker(), reasoning_format="none") as service:
        (choice,) = (await service.answer("hm", search={"strategy": "direct"}))["choices"]
    assert choice["message"]["content"] == "<think>So it is 42.</think>\n\nThe answer is 42"
    assert choice["message"]["reasoning"] is None


async def test_plain_completions_are_never_split() -> None:
    """Raw text in, raw text out."""
    async with serving(thinker()) as service:
        body = {"prompt": "<user>hm<assistant>", "max_tokens": 64, "search": {"strategy": "direct"}}
        reply = (await service.client.post("/v1/completions", json=body)).json()
    assert reply["choices"][0]["text"].startswith("<think>")
