"""Tools in words, for models whose template has no place for them: the Hermes convention, which Qwen2.5 took over."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mcts.ports import Message

_OFFER = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


def in_words(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> tuple[Message, ...]:
    """A chat as templates without tools, and reward models, can read it: plain turns of system, user and assistant.

    Tools stand at the end of the system turn, calls at the end of the assistant's, and what neighbouring tools gave in
    one user turn.

    Args:
        messages: The chat; calls and what they gave are known by their role and fields.
        tools: Functions in OpenAI's shape.
    """
    plain: list[Message] = []
    for place, message in enumerate(messages):
        if message.role != "tool":
            text = "\n".join([*filter(None, [message.content]), *map(_call, message.fields.get("tool_calls", ()))])
            plain.append(Message(message.role, text))
            continue
        given = f"<tool_response>\n{message.content}\n</tool_response>"
        if place and messages[place - 1].role == "tool":
            plain[-1] = replace(plain[-1], content=f"{plain[-1].content}\n{given}")
        else:
            plain.append(Message("user", given))
    return tuple(_offered(plain, tools) if tools else plain)


def _offered(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> list[Message]:
    offer = _OFFER.format(tools="\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools))
    if messages[0].role != "system":
        return [Message("system", offer), *messages]
    return [Message("system", f"{messages[0].content}\n\n{offer}"), *messages[1:]]


def _call(call: Mapping[str, Any]) -> str:
    function = call["function"]
    told = {"name": function["name"], "arguments": function["arguments"]}
    return f"<tool_call>\n{json.dumps(told, ensure_ascii=False)}\n</tool_call>"
