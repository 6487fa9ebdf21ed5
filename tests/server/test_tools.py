"""Tools over HTTP: offered to the model, called by it, voted on, told plain and streamed, and refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.scripted import ScriptedEngine
from engine.scripted_language import END, ScriptedTokenizer, pieces_of, script_from
from server.plans import WHOLE
from tests.server.service import Service, backend, serving

ADD: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
        "strict": True,
    },
}
NOW: dict[str, Any] = {"type": "function", "function": {"name": "now"}}
ONE = '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'
SAME = '<tool_call>\n{"name":"add","arguments":{"b":2,"a":1}}\n</tool_call>'
OTHER = '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 3}}</tool_call>'
DIRECT = {"strategy": "direct"}


def speaking(*texts: tuple[str, float]) -> ScriptedEngine:
    """An engine that gives one of these texts, each in pieces of a word."""
    table: dict[str, list[tuple[str, float]]] = {"": list(texts)}
    table |= {text: [(END, 1.0)] for text, _ in texts}
    return ScriptedEngine(script_from(table), ScriptedTokenizer(pieces_of(table)))


def called(message: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Names and arguments of a message's calls."""
    calls = message["tool_calls"] or []
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]


async def answered(engine: ScriptedEngine, **fields: Any) -> dict[str, Any]:
    """The first choice of a chat with tools."""
    async with serving(engine, made=backend(engine, constrains=True)) as service:
        reply = await service.answer("hm", **({"tools": [ADD, NOW], "search": DIRECT} | fields))
    return dict(reply["choices"][0])


async def test_a_call_is_told_apart_from_the_text_before_it() -> None:
    """In OpenAI's shape; the text is content."""
    choice = await answered(speaking((f"Let me add.\n{ONE}", 1.0)))
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Let me add."
    assert called(choice["message"]) == [("add", {"a": 1, "b": 2})]
    (call,) = choice["message"]["tool_calls"]
    assert call["type"] == "function"
    assert len(call["id"]) == 9


async def test_an_answer_that_is_only_calls_has_no_content() -> None:
    """Null, as OpenAI gives it. Each call has an id of its own."""
    choice = await answered(speaking((ONE + OTHER, 1.0)))
    assert choice["message"]["content"] is None
    assert len({call["id"] for call in choice["message"]["tool_calls"]}) == 2


async def test_parallel_calls_can_be_forbidden() -> None:
    """The first one stands."""
    choice = await answered(speaking((ONE + OTHER, 1.0)), parallel_tool_calls=False)
    assert called(choice["message"]) == [("add", {"a": 1, "b": 2})]


async def test_an_answer_without_calls_is_an_ordinary_one() -> None:
    """Tools may be offered and not be needed."""
    choice = await answered(speaking(("It is 3.", 1.0)))
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == "It is 3."
    assert choice["message"]["tool_calls"] is None


@pytest.mark.parametrize("strategy", ["majority", "best_of_n", "weighted_best_of_n"])
async def test_calls_vote_as_calls(strategy: str) -> None:
    """Blanks and the order of keys make no difference, what is said around a call neither."""
    engine = speaking((ONE, 0.35), (f"Well. {SAME}", 0.3), (OTHER, 0.35))
    search = {"strategy": strategy, "samples": 40} | ({"adaptive": False} if strategy == "majority" else {})
    if strategy == "best_of_n":
        search["vote"] = "weighted"
    async with serving(engine, made=backend(engine, constrains=True)) as service:
        reply = await service.answer("hm", tools=[ADD], search=search, seed=3)
    votes = {vote["answer"]: vote["count"] for vote in reply["search"]["votes"]}
    assert set(votes) == {'[["add", {"a": 1, "b": 2}]]', '[["add", {"a": 1, "b": 3}]]'}
    assert sum(votes.values()) == 40
    assert called(reply["choices"][0]["message"]) == [("add", {"a": 1, "b": 2})]


async def test_calls_and_answers_vote_side_by_side() -> None:
    """Answers without a call are compared as ever: 1/2 is 0.5."""
    engine = speaking((ONE, 0.3), ("\\boxed{1/2}", 0.35), ("\\boxed{0.5}", 0.35))
    async with serving(engine, made=backend(engine, constrains=True)) as service:
        search = {"strategy": "majority", "samples": 40, "adaptive": False}
        reply = await service.answer("hm", tools=[ADD], search=search, seed=3, n=2)
    assert [vote["count"] for vote in reply["search"]["votes"]] == sorted(
        (vote["count"] for vote in reply["search"]["votes"]), reverse=True
    )
    assert len(reply["search"]["votes"]) == 2
    assert [choice["finish_reason"] for choice in reply["choices"]] == ["stop", "tool_calls"]


async def test_one_call_does_not_beat_many_texts() -> None:
    """Texts without a recognisable answer are one group: whether to call at all is voted on, too."""
    engine = speaking((ONE, 0.3), ("Hello!", 0.2), ("Good day.", 0.25), ("How are you?", 0.25))
    async with serving(engine, made=backend(engine, constrains=True)) as service:
        search = {"strategy": "majority", "samples": 40, "adaptive": False}
        reply = await service.answer("hm", tools=[ADD], search=search, seed=3)
    first, second = reply["search"]["votes"]
    assert first["count"] > second["count"]
    assert second["answer"] == '[["add", {"a": 1, "b": 2}]]'
    assert reply["choices"][0]["message"]["tool_calls"] is None
    assert reply["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("strategy", WHOLE)
@pytest.mark.parametrize(
    ("choice", "names", "most"),
    [("required", ["add", "now"], None), ({"type": "function", "function": {"name": "now"}}, ["now"], 1)],
)
async def test_required_calls_hold_the_engine_to_their_form(
    strategy: str, choice: Any, names: list[str], most: int | None
) -> None:
    """An array of calls of these functions, whose arguments fit the functions' parameters."""
    engine = speaking(('[{"name": "now", "arguments": {}}]', 1.0))
    async with serving(engine, made=backend(engine, constrains=True)) as service:
        reply = await service.answer("hm", tools=[ADD, NOW], tool_choice=choice, search={"strategy": strategy})
    (form,) = {request.sampling.form for request in engine.requests}
    assert form is not None
    schema = json.loads(form.schema)
    items = schema["items"].get("anyOf", [schema["items"]])
    assert [item["properties"]["name"]["const"] for item in items] == names
    assert (schema["minItems"], schema.get("maxItems")) == (1, most)
    if len(items) == 2:
        assert items[0]["properties"]["arguments"] == ADD["function"]["parameters"]
    assert reply["choices"][0]["finish_reason"] == "tool_calls"
    assert called(reply["choices"][0]["message"]) == [("now", {})]


async def test_definitions_move_to_where_references_look_for_them() -> None:
    """``#/$defs/x`` means the top of the whole schema. Two different ones of a name cannot both stand there."""

    def tool(name: str, kind: str) -> dict[str, Any]:
        parameters = {
            "type": "object",
            "properties": {"x": {"$ref": "#/$defs/x"}},
            "$defs": {"x": {"type": kind}},
        }
        return {"type": "function", "function": {"name": name, "parameters": parameters}}

    engine = speaking(("[]", 1.0))
    async with serving(engine, made=backend(engine, constrains=True)) as service:
        fields: dict[str, Any] = {"tool_choice": "required", "search": DIRECT}
        await service.answer("hm", tools=[tool("p", "string"), tool("q", "string")], **fields)
        form = engine.requests[-1].sampling.form
        assert form
        assert json.loads(form.schema)["$defs"] == {"x": {"type": "string"}}
        error = await service.refusal(tools=[tool("p", "string"), tool("q", "integer")], **fields)
        assert error["param"] == "tools"


async def test_a_required_call_that_a_limit_cut_is_text() -> None:
    """Nothing is lost, and the finish says that it is not whole."""
    engine = speaking(('[{"name": "now", "arguments": {', 1.0))
    choice = await answered(engine, tool_choice="required", max_tokens=1)
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"] == '[{"name": "now", "arguments": {'


def streamed(events: list[Any]) -> dict[str, Any]:
    """A stream put together as clients do: content, calls and the last finish reason."""
    content, calls, finish = "", {}, None
    for event in events:
        for choice in event["choices"] if isinstance(event, dict) else []:
            delta = choice["delta"]
            content += delta.get("content") or ""
            finish = choice.get("finish_reason") or finish
            for piece in delta.get("tool_calls", []):
                call = calls.setdefault(piece["index"], {"id": None, "name": "", "arguments": ""})
                call["id"] = call["id"] or piece.get("id")
                call["name"] += piece["function"].get("name") or ""
                call["arguments"] += piece["function"]["arguments"]
    return {"content": content, "calls": calls, "finish": finish}


@pytest.mark.parametrize("strategy", ["direct", "majority"])
@pytest.mark.parametrize("logprobs", [False, True])
async def test_a_stream_tells_the_same(strategy: str, logprobs: bool) -> None:
    """Content first, then each call with its index, id and name, then its arguments; the finish at the end."""
    engine = speaking((f"Let me add.\n{ONE}{OTHER}", 1.0))
    async with serving(engine, made=backend(engine, constrains=True)) as service:
        events = await service.stream("hm", tools=[ADD], search={"strategy": strategy}, logprobs=logprobs)
    told = streamed(events)
    assert told["content"] == "Let me add."
    assert [(call["name"], json.loads(call["arguments"])) for call in told["calls"].values()] == [
        ("add", {"a": 1, "b": 2}),
        ("add", {"a": 1, "b": 3}),
    ]
    assert len({call["id"] for call in told["calls"].values()}) == 2
    assert told["finish"] == "tool_calls"
    assert events[-1] == "[DONE]"
    deltas = [choice["delta"] for event in events if isinstance(event, dict) for choice in event["choices"]]
    assert not any("<tool_call>" in json.dumps(delta) for delta in deltas)
    weighed = [c for e in events if isinstance(e, dict) for c in e["choices"] if c.get("logprobs")]
    assert bool(weighed) is logprobs


async def test_a_stream_without_calls_loses_nothing() -> None:
    """What looked like one is told in the end."""
    engine = speaking(("a <tool_call> b", 1.0))
    async with serving(engine, made=backend(engine, constrains=True)) as service:
        told = streamed(await service.stream("hm", tools=[ADD], search=DIRECT))
    assert told == {"content": "a <tool_call> b", "calls": {}, "finish": "stop"}


async def test_a_call_after_a_thought() -> None:
    """The thought is reasoning; a call that it considers is none."""
    engine = speaking((f"<think>{OTHER}?</think>{ONE}", 1.0))
    choice = await answered(engine)
    assert choice["message"]["reasoning"] == f"{OTHER}?"
    assert called(choice["message"]) == [("add", {"a": 1, "b": 2})]


HISTORY: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is 1 + 2?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1,"b":2}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "3"},
]


async def test_models_without_a_place_for_tools_read_them_in_words() -> None:
    """The Hermes convention: tools in the system turn, calls in the assistant's, what they gave in a user's."""
    engine = speaking(("It is 3.", 1.0))
    async with serving(engine) as service:
        await service.answer(messages=HISTORY, tools=[ADD], search=DIRECT)
    prompt = engine.tokenizer.decode(engine.requests[-1].prefix)
    system, user, assistant, tool = prompt.removeprefix("<system>").replace("<assistant>", "<user>").split("<user>")[:4]
    assert system.startswith("Be brief.\n\n# Tools")
    shown = json.loads(system.split("<tools>\n")[1].split("\n</tools>")[0])
    assert shown["function"]["parameters"] == ADD["function"]["parameters"]
    assert "strict" not in shown["function"]
    assert user == "What is 1 + 2?"
    assert assistant == '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'
    assert tool == "<tool_response>\n3\n</tool_response>"


@pytest.mark.parametrize("strategy", ["uct", "beam", "self_refine", "majority"])
async def test_any_strategy_answers_from_what_tools_gave(strategy: str) -> None:
    """Without tools on offer, or with tool_choice none, which leaves them out of the prompt."""
    engine = ScriptedEngine()
    async with serving(engine) as service:
        for fields in ({}, {"tools": [ADD], "tool_choice": "none"}):
            await service.answer(messages=HISTORY, search={"strategy": strategy}, **fields)
            assert "# Tools" not in engine.tokenizer.decode(engine.requests[-1].prefix)


@pytest.mark.parametrize("strategy", ["uct", "beam", "marco-o1", "self_refine", "cot_decoding", "particle"])
async def test_strategies_that_write_in_pieces_refuse_tools_by_name(service: Service, strategy: str) -> None:
    """As they refuse other forms of answers."""
    error = await service.refusal(tools=[ADD], search={"strategy": strategy})
    assert error["param"] == "tools"
    assert strategy in error["message"]


def function(**fields: Any) -> dict[str, Any]:
    """A tool with other fields."""
    return {"type": "function", "function": {"name": "f"} | fields}


CALL = HISTORY[2]["tool_calls"][0]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"tools": [function(name="a b")]}, "tools.0.function.name"),
        ({"tools": [function(parameters={"type": "integre"})]}, "tools.0.function.parameters"),
        ({"tools": [function(parameters={"type": "string"})]}, "tools.0.function.parameters"),
        ({"tools": [function(), function()]}, "tools"),
        ({"tools": [function()] * 129}, "tools"),
        ({"tools": "f"}, "tools"),
        ({"tools": [function()], "tool_choice": "always"}, "tool_choice"),
        ({"tools": [function()], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [function()], "tool_choice": "required"}, "tool_choice"),  # the scripted engine cannot be held to it
        ({"tools": [function()], "response_format": {"type": "json_object"}}, "response_format"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"messages": [{"role": "tool", "content": "3"}]}, "messages.0.tool_call_id"),
        ({"messages": [{"role": "user", "content": "3", "tool_call_id": "x"}]}, "messages.0.tool_call_id"),
        ({"messages": [*HISTORY[:2], HISTORY[3]]}, "messages.2.tool_call_id"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": [CALL]}]}, "messages.0.tool_calls"),
        (
            {"messages": [*HISTORY[:2], {"role": "assistant", "tool_calls": [CALL | {"function": {"name": "f"}}]}]},
            "messages.2.tool_calls.0.function.arguments",
        ),
        (
            {
                "messages": [
                    *HISTORY[:2],
                    {"role": "assistant", "tool_calls": [CALL | {"function": {"name": "f", "arguments": "[1]"}}]},
                ]
            },
            "messages.2.tool_calls.0.function.arguments",
        ),
        ({"messages": HISTORY[:3], "continue_final_message": True}, "continue_final_message"),
    ],
)
async def test_bad_tools_are_refused_by_name(service: Service, fields: dict[str, Any], param: str) -> None:
    """Before anything is generated."""
    error = await service.refusal(**({"search": DIRECT} | fields))
    assert error["param"] == param, error
    assert not service.engine.requests


async def test_tools_count_in_tokenize_too() -> None:
    """The prompt's length with tools can be asked for beforehand."""
    async with serving() as service:
        body = {"messages": HISTORY[:2]}
        bare = (await service.client.post("/tokenize", json=body)).json()
        full = (await service.client.post("/tokenize", json=body | {"tools": [ADD]})).json()
        await service.answer(messages=HISTORY[:2], tools=[ADD], search=DIRECT)
    assert full["count"] > bare["count"]
    assert tuple(full["tokens"]) == service.engine.requests[-1].prefix
