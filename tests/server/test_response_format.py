"""``response_format``: JSON by constrained decoding, where answers are written in one piece."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.scripted import ScriptedEngine
from engine.scripted_language import END, ScriptedTokenizer, pieces_of, script_from
from mcts.ports import JsonForm
from server.plans import WHOLE
from tests.server.service import Service, backend, serving

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
ASKED: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}

TEXTS = {'{"a":1,"b":2}': 0.4, '{"b": 2, "a": 1}': 0.3, '{"a":2}': 0.3}
"""The first two are the same value."""

TABLE = {"": list(TEXTS.items())} | {text: [(END, 1.0)] for text in TEXTS}


def json_engine() -> ScriptedEngine:
    """An engine that writes JSON of itself, as one that is held to it would."""
    return ScriptedEngine(script_from(TABLE), ScriptedTokenizer(pieces_of(TABLE)))


@pytest.mark.parametrize("strategy", WHOLE)
@pytest.mark.parametrize(
    ("asked", "form"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, JsonForm()),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, JsonForm()),
        (ASKED, JsonForm(json.dumps(SCHEMA))),
    ],
)
async def test_the_engine_is_held_to_the_form(strategy: str, asked: dict[str, Any], form: JsonForm | None) -> None:
    """Every call of the strategies that write whole answers carries it."""
    engine = json_engine()
    async with serving(engine, made=backend(engine, constrains=True)) as service:
        await service.answer("hm", search={"strategy": strategy}, response_format=asked)
    assert {request.sampling.form for request in engine.requests} == {form}


async def test_answers_vote_by_their_value() -> None:
    """Blanks and the order of keys make no difference; the answer of a vote is the value."""
    engine = json_engine()
    async with serving(engine, made=backend(engine, constrains=True)) as service:
        search = {"strategy": "majority", "samples": 40, "adaptive": False}
        reply = await service.answer("hm", search=search, response_format={"type": "json_object"}, seed=1)
    votes = {vote["answer"]: vote["count"] for vote in reply["search"]["votes"]}
    assert set(votes) == {'{"a": 1, "b": 2}', '{"a": 2}'}
    assert votes['{"a": 1, "b": 2}'] > votes['{"a": 2}']
    assert json.loads(reply["choices"][0]["message"]["content"]) == {"a": 1, "b": 2}


@pytest.mark.parametrize("strategy", ["uct", "beam", "marco-o1", "self_refine", "cot_decoding", "particle"])
async def test_strategies_that_write_in_pieces_refuse_it_by_name(strategy: str) -> None:
    """A form begins with the first token of an answer; free text is fine with them."""
    engine = ScriptedEngine()
    async with serving(engine, made=backend(engine, constrains=True)) as service:
        error = await service.refusal(search={"strategy": strategy}, response_format=ASKED)
        assert error["param"] == "response_format"
        assert strategy in error["message"]
        await service.answer(search={"strategy": "uct"}, response_format={"type": "text"})


async def test_an_engine_that_cannot_be_held_says_so(service: Service) -> None:
    """The scripted one cannot."""
    error = await service.refusal(search={"strategy": "direct"}, response_format={"type": "json_object"})
    assert error["param"] == "response_format"


def nested(depth: int) -> dict[str, Any]:
    """A schema of so many levels."""
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({}, "response_format"),
        ({"type": "xml"}, "response_format.type"),
        ({"type": "json_schema"}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, "response_format.json_schema.name"),
        ({"type": "json_schema", "json_schema": {"name": "a b"}}, "response_format.json_schema.name"),
        ({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "integre"}}}, "schema"),
        ({"type": "json_schema", "json_schema": {"name": "a", "schema": nested(70)}}, "schema"),
        ({"type": "json_schema", "json_schema": {"name": "a", "schema": {"const": "x" * 70_000}}}, "schema"),
        ({"type": "json_object", "schema": {}}, "response_format.schema"),
        ("json_object", "response_format"),
    ],
)
async def test_bad_formats_are_refused_by_name(service: Service, asked: Any, param: str) -> None:
    """Wrong schemas included, before anything is generated."""
    error = await service.refusal(search={"strategy": "direct"}, response_format=asked)
    assert param in error["param"], error


async def test_a_form_does_not_continue_a_text() -> None:
    """It begins with an answer's first token."""
    engine = ScriptedEngine()
    async with serving(engine, made=backend(engine, constrains=True)) as service:
        error = await service.refusal(
            messages=[{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}],
            continue_final_message=True,
            search={"strategy": "direct"},
            response_format={"type": "json_object"},
        )
    assert error["param"] == "continue_final_message"
