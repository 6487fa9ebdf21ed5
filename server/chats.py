"""From a chat's messages to the prompt that the model reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from mcts.ports import Message, Prompt, Tokenizer
from mcts.strategies.cot import CotOptions, instructed
from server.assignments import Reading, ReadPrompt
from server.backend import Backend
from server.plans import Plan
from server.schemas.chat import ChatMessage, ChatRequest
from server.tool_parsers import ToolFormat
from server.tool_texts import in_words
from server.tooling import tooling

ROLES = {"developer": "system"}
"""Roles under another name in the model's template."""


def chat_prompt(request: ChatRequest, form: ToolFormat) -> ReadPrompt:
    """How the prompt of a chat is read.

    Args:
        request: The body.
        form: How the served model writes calls of tools.
    """

    async def read(plan: Plan, backend: Backend) -> Reading:
        tools = tooling(request.offered, request.tool_choice, request.parallel_tool_calls, form, plan.strategy)
        messages = turns(request.messages)
        if isinstance(plan.options, CotOptions):
            messages = instructed(messages, plan.options.instruction)
        goes_on = bool(request.continue_final_message)
        token_ids = await asyncio.to_thread(  # a long chat takes a while, and the event loop serves others
            rendered, messages, backend.tokenizer, tools.tools if tools else (), continue_final=goes_on
        )
        prefill = messages[-1].content if goes_on else ""
        return Reading(Prompt(tuple(token_ids), in_words(messages), prefill=prefill), tools)

    return read


def rendered(
    messages: Sequence[Message],
    tokenizer: Tokenizer,
    tools: Sequence[Mapping[str, Any]] = (),
    *,
    continue_final: bool = False,
    closed: bool = False,
) -> list[int]:
    """Token ids of a chat, its tools in the template's own form where it has one and in words where it has none."""
    if tokenizer.knows_tools:
        return tokenizer.render(messages, continue_final=continue_final, closed=closed, tools=tools)
    return tokenizer.render(in_words(messages, tools), continue_final=continue_final, closed=closed)


def turns(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """The messages as the model's template knows them."""
    names = {call.id: call.function.name for message in messages for call in message.tool_calls or []}
    return tuple(
        Message(ROLES.get(message.role, message.role), message.text, _fields(message, names)) for message in messages
    )


def _fields(message: ChatMessage, names: Mapping[str, str]) -> dict[str, Any]:
    """What templates read of calls. They want arguments as an object, and write its text themselves."""
    if message.tool_call_id is not None:
        return {"tool_call_id": message.tool_call_id, "name": names[message.tool_call_id]}
    calls = [
        {
            "id": call.id,
            "type": call.type,
            "function": {"name": call.function.name, "arguments": json.loads(call.function.arguments)},
        }
        for call in message.tool_calls or []
    ]
    return {"tool_calls": calls} if calls else {}
