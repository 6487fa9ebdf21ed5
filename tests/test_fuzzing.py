"""Hostile text: whatever a model or a client writes, extraction, splitting and parsing end, and quickly.

``make fuzz`` tries a hundred thousand inputs and more; here each fuzzer shows in a moment that it works.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import Any, get_args

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from server.cli.documents import STRATEGY_SCHEMAS
from server.cli.sse import lines_of
from server.schemas.chat import ChatRequest
from server.thoughts import FORMATS, Marks
from server.tool_parsers import ToolFormat, parse
from tests.fuzz import properties
from tests.fuzz.__main__ import guided
from tests.fuzz.seeds import PIECES
from tests.server.service import Service, serving

hostile = st.lists(st.one_of(st.sampled_from([*PIECES, "\ud7ff"]), st.text(max_size=8)), max_size=60).map("".join)
"""Text made mostly of what extraction and splitting look for."""


@settings(deadline=None)
@given(hostile)
def test_an_answer_is_found_in_any_text_or_none(text: str) -> None:
    """No rule raises, and what it finds can be compared."""
    properties.an_answer_is_found_or_none(text)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(PIECES), st.sampled_from(PIECES))
def test_no_repetition_takes_long(piece: str, other: str) -> None:
    """A hundred thousand characters of the worst kind are read in well under a second."""
    text = (piece + other) * (100_000 // len(piece + other))
    began = time.process_time()
    properties.ALL_RULES.extract(text)
    for form in get_args(ToolFormat):
        parse(text, form, properties.NAMES)
    assert time.process_time() - began < 2


@settings(deadline=None)
@given(hostile, st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from([None, *FORMATS]))
def test_a_thought_is_split_alike_however_its_text_comes(text: str, cuts: list[int], opened: Marks | None) -> None:
    """Piece by piece or at once, the same thought and the same answer, and nothing is made up."""
    properties.a_thought_is_split_alike(text, cuts, opened)


@settings(deadline=None)
@given(hostile, st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from(get_args(ToolFormat)))
def test_calls_are_read_or_their_text_is_left(text: str, cuts: list[int], form: ToolFormat) -> None:
    """Nothing that was written is lost, streamed or not."""
    properties.calls_are_read_or_left(text, cuts, form)


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
        lines = list(lines_of(properties.chunks(text.replace("\n", end), cuts)))
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


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not built for this platform")
@pytest.mark.parametrize("target", ["answers", "calls"])
def test_coverage_guides_to_nothing_that_breaks(target: str) -> None:
    """Atheris finds new ways through our readers, and none that breaks a property."""
    outcome = guided(target, 2000, seed=7)
    assert not outcome.broke, outcome.broke
    assert outcome.inputs == 2000
