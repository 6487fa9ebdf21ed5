"""Renders the chats that searches make up themselves, without holding up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mcts.ports import Message, Tokenizer


class ThreadedRenderer:
    """Implements ``strategy.ChatRenderer`` over a tokenizer, in a worker thread: a long chat takes a while."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    async def render(self, messages: Sequence[Message], *, continue_final: bool = False) -> Sequence[int]:
        """As the tokenizer's own."""
        return await asyncio.to_thread(self._tokenizer.render, messages, continue_final=continue_final)
