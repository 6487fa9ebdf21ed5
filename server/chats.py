"""From a chat's messages to the prompt that the model reads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mcts.ports import Message, Prompt
from mcts.strategies.cot import CotOptions, instructed
from server.assignments import ReadPrompt
from server.backend import Backend
from server.plans import Plan
from server.schemas.chat import ChatMessage, ChatRequest

ROLES = {"developer": "system"}
"""Roles under another name in the model's template."""


def chat_prompt(request: ChatRequest) -> ReadPrompt:
    """How the prompt of a chat is read."""

    async def read(plan: Plan, backend: Backend) -> Prompt:
        messages = turns(request.messages)
        if isinstance(plan.options, CotOptions):
            messages = instructed(messages, plan.options.instruction)
        prefill = messages[-1].content if request.continue_final_message else ""

        def render() -> list[int]:
            return backend.tokenizer.render(messages, continue_final=bool(request.continue_final_message))

        token_ids = await asyncio.to_thread(render)  # a long chat takes a while, and the event loop serves others
        return Prompt(tuple(token_ids), messages, prefill=prefill)

    return read


def turns(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """The messages as the model's template knows them."""
    return tuple(Message(ROLES.get(message.role, message.role), message.text) for message in messages)
