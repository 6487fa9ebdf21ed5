"""Calls of tools told from text: each family's way of writing them, and text that only looks like it."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.call_watch import CallWatch
from server.tool_parsers import Call, Parsed, ToolFormat, parse, parse_forced

NAMES = ("add", "look-up", "now")
FORMATS = get_args(ToolFormat)


def written(form: ToolFormat, calls: list[tuple[str, dict[str, Any]]]) -> str:
    """Calls as a model of that family writes them."""
    if form == "hermes":
        return "\n".join(
            f"<tool_call>\n{json.dumps({'name': name, 'arguments': given})}\n</tool_call>" for name, given in calls
        )
    if form == "llama3_json":
        return "; ".join(json.dumps({"name": name, "parameters": given}) for name, given in calls)
    return "[TOOL_CALLS]" + json.dumps([{"name": name, "arguments": given} for name, given in calls])


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-99, 99)
    | st.text(max_size=8)
    | st.sampled_from(["</tool_call>", "}", "{"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
CALLS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.dictionaries(st.text(max_size=5), VALUES, max_size=3)), min_size=1, max_size=3
)


@given(form=st.sampled_from(FORMATS), calls=CALLS, before=st.sampled_from(["", "Let me see. "]))
def test_what_is_written_is_read(form: ToolFormat, calls: list[tuple[str, dict[str, Any]]], before: str) -> None:
    """Names and arguments come back, whatever texts the arguments hold; what stands before stays content."""
    before = "" if form == "llama3_json" else before
    parsed = parse(before + written(form, calls), form, NAMES)
    assert [(call.name, json.loads(call.arguments)) for call in parsed.calls] == calls
    assert parsed.content == before.strip()


@given(
    form=st.sampled_from(FORMATS),
    text=st.lists(
        st.sampled_from(
            [
                "<tool_call>",
                "</tool_call>",
                "[TOOL_CALLS]",
                "<|python_tag|>",
                '{"name": "add"',
                ', "arguments": {}}',
                "[",
                "]",
            ]
        )
        | st.text(max_size=6),
        max_size=8,
    ).map("".join),
)
def test_no_text_is_lost_and_none_raises(form: ToolFormat, text: str) -> None:
    """Whatever a model writes: without calls the text is untouched, with calls each of them is well formed."""
    for parsed in (parse(text, form, NAMES), parse_forced(text, NAMES)):
        if not parsed.calls:
            assert parsed.content == text
        for call in parsed.calls:
            assert call.name in NAMES
            assert isinstance(json.loads(call.arguments), dict)


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "unknown", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "add", "arguments": [1]}</tool_call>',
        '<tool_call>{"name": "add", "arguments": {"a": NaN}}</tool_call>',
        '<tool_call>{"name": "add", "arguments": {"a": 1}',
        '<tool_call>{"name": "add", "arguments": {}} and more</tool_call>',
        "<tool_call>" * 3,
        '{"name": "add", "arguments": {}}',
    ],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    """A tool that was not offered, arguments that are no object, a call that a limit cut."""
    assert parse(text, "hermes", NAMES) == Parsed(text)


def test_one_bad_call_among_good_ones_stays_content() -> None:
    """The good one is made; the bad one can be read in the content."""
    bad, good = '<tool_call>{"name": 1}</tool_call>', '<tool_call>{"name": "now"}</tool_call>'
    assert parse(f"{bad} {good}", "hermes", NAMES) == Parsed(bad, (Call("now", "{}"),))


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('<tool_call>\n{"name": "add", "arguments": {"a": 1}}', "hermes"),  # the end of sequence came first
        ('<tool_call>{"name": "add", "arguments": "{\\"a\\": 1}"}</tool_call>', "hermes"),  # an object as a text
        ('<|python_tag|>{"name": "add", "parameters": {"a": 1}}', "llama3_json"),
        ('[TOOL_CALLS]add{"a": 1}', "mistral"),
        ('[TOOL_CALLS]add[ARGS]{"a": 1}', "mistral"),
        ('[TOOL_CALLS] [{"name": "add", "arguments": {"a": 1}}]', "mistral"),
    ],
)
def test_ways_that_models_are_known_to_write(text: str, form: ToolFormat) -> None:
    """Each is the call add(a=1)."""
    assert parse(text, form, NAMES) == Parsed("", (Call("add", '{"a": 1}'),))


def test_required_calls_are_a_json_array() -> None:
    """As constrained decoding makes it; one that a limit cut is text."""
    text = '[{"name":"add","arguments":{"a":1}},{"name":"now","arguments":{}}]'
    assert parse_forced(text, NAMES) == Parsed("", (Call("add", '{"a": 1}'), Call("now", "{}")))
    assert parse_forced(text[:-1], NAMES) == Parsed(text[:-1])


def test_equal_calls_have_equal_keys() -> None:
    """Blanks and the order of keys make no difference, values do."""
    assert Call("add", '{"a": 1, "b": 2}').key == Call("add", '{"b":2,"a":1}').key
    assert Call("add", '{"a": 1}').key != Call("add", '{"a": 2}').key
    assert Call("add", "{}").key != Call("now", "{}").key


PIECES = st.lists(
    st.sampled_from(["<tool", "_call>", "[TOOL", "_CALLS]", "<|python", "_tag|>", '{"name": "now"}', "</tool_call>"])
    | st.text("ab <[{\n", max_size=4),
    max_size=8,
)


@given(form=st.sampled_from(FORMATS), pieces=PIECES)
def test_a_stream_tells_what_the_whole_text_holds(form: ToolFormat, pieces: list[str]) -> None:
    """Piece by piece or at once: the same content (blanks at its beginning aside), and never a part of a call."""
    text, watch = "".join(pieces), CallWatch(form)
    told = "".join(watch.feed(piece) for piece in pieces)
    assert text.startswith(told)
    parsed = parse(text, form, NAMES)
    told += watch.end(parsed)
    if parsed.calls:
        assert told.strip() == parsed.content
    else:
        assert told == text


def test_text_flows_until_a_call_may_begin() -> None:
    """``<tool`` waits, and is told when it turns out to be nothing."""
    watch = CallWatch("hermes")
    assert [watch.feed(piece) for piece in ("Let ", "me see", " <tool", "box> or", ' <tool_call>{"name": ')] == [
        "Let",
        " me see",
        "",
        " <toolbox> or",
        "",
    ]
