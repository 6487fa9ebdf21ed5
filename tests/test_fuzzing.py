"""Hostile text: whatever a model or a client writes, extraction, splitting and parsing end, and quickly.

How many inputs is up to hypothesis's profile: ``--hypothesis-profile fuzz`` tries 30,000 for each.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from reward.answers import StandardAnswers
from reward.equivalence import key
from reward.extraction import RULES
from reward.notation import read
from server.cli.documents import STRATEGY_SCHEMAS
from server.cli.sse import lines_of
from server.schemas.chat import ChatRequest
from server.thoughts import FORMATS, Marks, ThoughtSplitter
from tests.server.service import Service, serving

MARKS = [each for marks in FORMATS for each in (marks.begin, marks.end, marks.answer_begin, marks.answer_end) if each]

PIECES = [
    "\\boxed{", "}", "{", "\\}", "\\{", "\\\\", "\\frac", "\\sqrt[", "^", "_", "$", "\\[", "\\]",
    "<answer>", "</answer>", "####", "The answer is", "answer:", "答案是", '{"answer": ', '"answer"', ": ", "[", "]",
    '"', "\n", "\n\n", " ", "1", "-2.5", "1,000", "3/4", "x", "²", "½", "\ufffd", "\u2028", "\x00", "\ud7ff",
    "🤔", "\u202e", "e\u0301", "∞", *MARKS,
]  # fmt: skip

hostile = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=60).map("".join)
"""Text made mostly of what extraction and splitting look for."""

ALL_RULES = StandardAnswers(rules=(*RULES, "json", "pattern"), expression=r"Result: (.*)")


@settings(deadline=None)
@given(hostile)
def test_an_answer_is_found_in_any_text_or_none(text: str) -> None:
    """No rule raises, and what it finds can be compared."""
    for name in (*RULES, "json", "pattern"):
        found = StandardAnswers(rules=(name,), expression=r"Result: (.*)").extract(text)
        assert found is None or isinstance(found, str)
        if found is not None:
            hash(key(found))
            read(found)
    assert ALL_RULES.extract(text) == ALL_RULES.extract(text)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(PIECES), st.sampled_from(PIECES))
def test_no_repetition_takes_long(piece: str, other: str) -> None:
    """A hundred thousand characters of the worst kind are read in well under a second."""
    text = (piece + other) * (100_000 // len(piece + other))
    began = time.process_time()
    ALL_RULES.extract(text)
    assert time.process_time() - began < 2


def chunks(text: str, cuts: list[int]) -> list[str]:
    """The text cut at some places."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in itertools.pairwise(places)]


@settings(deadline=None)
@given(hostile, st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from([None, *FORMATS]))
def test_a_thought_is_split_alike_however_its_text_comes(text: str, cuts: list[int], opened: Marks | None) -> None:
    """Piece by piece or at once, the same thought and the same answer, and nothing is made up."""

    def split(parts: list[str]) -> tuple[str, str]:
        splitter = ThoughtSplitter(opened)
        pieces = [piece for part in parts for piece in splitter.feed(part)] + list(splitter.end())
        thought = "".join(piece.text for piece in pieces if piece.thought)
        return thought, "".join(piece.text for piece in pieces if not piece.thought)

    whole = split([text])
    assert split(chunks(text, cuts)) == whole
    assert split(list(text)) == whole
    assert len(whole[0]) + len(whole[1]) <= len(text)


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.text(max_size=6), values, max_size=4), max_size=6),
    st.booleans(),
    st.lists(st.integers(0, 10_000), max_size=12),
)
def test_a_stream_is_read_as_it_was_written(
    chunks_sent: list[dict[str, Any]], ascii_only: bool, cuts: list[int]
) -> None:
    """Data, comments and the end mark, however they are cut; line separators inside JSON strings break nothing."""
    sent = [json.dumps(chunk, ensure_ascii=ascii_only) for chunk in chunks_sent]
    text = "".join(f"data: {line}\n\n: keep-alive\n\n" for line in sent) + "data: [DONE]\n\n"
    for end in ("\n", "\r\n"):
        lines = list(lines_of(chunks(text.replace("\n", end), cuts)))
        assert lines[-2:] == ["data: [DONE]", ""]
        data = [line.removeprefix("data: ") for line in lines[:-2] if line.startswith("data: ")]
        assert [json.loads(line) for line in data] == chunks_sent


FIELDS = sorted({*ChatRequest.model_fields, *ChatRequest.refused, "mystery"} - {"messages", "search", "model"})

SEARCH_FIELDS = sorted({name for schema in STRATEGY_SCHEMAS for name in schema.model_fields})

odd = st.one_of(
    values,
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -1, 1, 2**31, 1e308, "none", "auto", "text", "uct", "\ud800", "x" * 5000, [], {}, [[]], [""]]),
)

bodies = st.fixed_dictionaries(
    {
        "messages": st.one_of(
            st.just([{"role": "user", "content": "1 2"}]),
            st.lists(st.dictionaries(st.sampled_from(["role", "content", "name"]), odd, max_size=3), max_size=3),
            odd,
        )
    },
    optional={
        "model": st.one_of(st.sampled_from(["abacus", "abacus:direct", "abacus:beam"]), odd),
        "search": st.one_of(st.dictionaries(st.sampled_from(SEARCH_FIELDS), odd, max_size=3), odd),
    },
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Service]:
    """A server whose searches are short."""
    async with serving(default_max_tokens=16, max_seconds=1, default_simulations=2, max_simulations=4) as running:
        yield running


@pytest.mark.asyncio(loop_scope="module")
@settings(deadline=None)
@given(bodies, st.dictionaries(st.sampled_from(FIELDS), odd, max_size=3), st.sampled_from(["chat/", ""]))
async def test_no_body_is_a_server_error(
    server: Service, body: dict[str, Any], more: dict[str, Any], kind: str
) -> None:
    """An answer, or an error of the client's that names what is wrong: never a 500, and nothing is left running."""
    content = json.dumps({"max_tokens": 8, **body, **more, **({} if kind else {"prompt": body["messages"]})})
    headers = {"Content-Type": "application/json"}
    reply = await server.client.post(f"/v1/{kind}completions", content=content.encode(), headers=headers)
    assert reply.status_code in {200, 400, 404, 504}, reply.text
    assert len(reply.content) < 100_000
    assert server.engine.open_calls == 0
