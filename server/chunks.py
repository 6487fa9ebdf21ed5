"""The pieces of an event stream, ready for the wire. Knows their shapes, not their order."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any

from server.completions import older_shape
from server.schemas.reply import (
    ChatCompletionChunk,
    ChunkChoice,
    Delta,
    FinishReason,
    Logprobs,
    SearchSummary,
    TextChoice,
    TextCompletionChunk,
    ToolCallPiece,
    Usage,
)

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
NOTHING = b""


class Chunks(ABC):
    """Builds the chunks of one reply, which share id, time, model and fingerprint."""

    def __init__(self, id_: str, created: int, model: str, fingerprint: str) -> None:
        self._shared: dict[str, Any] = {
            "id": id_,
            "created": created,
            "model": model,
            "system_fingerprint": fingerprint,
        }

    @abstractmethod
    def role(self, index: int) -> bytes:
        """Opens a choice."""

    @abstractmethod
    def reasoning(self, index: int, text: str) -> bytes:
        """Search progress, or the model's own thought, where the shape has a place for it."""

    @abstractmethod
    def event(self, fields: dict[str, Any]) -> bytes:
        """One search event beside an empty choice, which ordinary clients pass over."""

    @abstractmethod
    def content(self, index: int, text: str, logprobs: Logprobs | None = None) -> bytes:
        """A piece of an answer."""

    @abstractmethod
    def call(self, index: int, piece: ToolCallPiece) -> bytes:
        """A piece of a call of a tool."""

    @abstractmethod
    def finish(self, index: int, reason: FinishReason, summary: SearchSummary | None) -> bytes:
        """Ends a choice; the last one of a search carries its summary."""

    def usage(self, usage: Usage) -> bytes:
        """The usage, in a chunk without choices."""
        return self._chunk([], usage=usage.model_dump())

    @abstractmethod
    def _chunk(self, choices: list[Any], **more: dict[str, Any] | None) -> bytes:
        """One chunk, ready for the wire, without what is None."""


class ChatChunks(Chunks):
    """The chunks of a chat."""

    def role(self, index: int) -> bytes:
        """The assistant speaks."""
        return self._chunk([ChunkChoice(index=index, delta=Delta(role="assistant", content=""))])

    def reasoning(self, index: int, text: str) -> bytes:
        """In both fields that clients read."""
        return self._chunk([ChunkChoice(index=index, delta=Delta(reasoning=text, reasoning_content=text))])

    def event(self, fields: dict[str, Any]) -> bytes:
        """One search event beside an empty delta."""
        return self._chunk([ChunkChoice(index=0, delta=Delta())], search_event=fields)

    def content(self, index: int, text: str, logprobs: Logprobs | None = None) -> bytes:
        """A piece of an answer."""
        return self._chunk([ChunkChoice(index=index, delta=Delta(content=text), logprobs=logprobs)])

    def call(self, index: int, piece: ToolCallPiece) -> bytes:
        """A piece of a call of a tool."""
        return self._chunk([ChunkChoice(index=index, delta=Delta(tool_calls=[piece]))])

    def finish(self, index: int, reason: FinishReason, summary: SearchSummary | None) -> bytes:
        """Ends a choice."""
        choice = ChunkChoice(index=index, delta=Delta(), finish_reason=reason)
        return self._chunk([choice], search=summary.model_dump() if summary else None)

    def _chunk(self, choices: list[ChunkChoice], **more: dict[str, Any] | None) -> bytes:
        chunk = ChatCompletionChunk(**self._shared, choices=choices).model_dump(exclude_none=True)
        return data(chunk | {name: value for name, value in more.items() if value is not None})


class TextChunks(Chunks):
    """The chunks of a plain completion, which know no roles and have no place for progress in words."""

    def __init__(self, id_: str, created: int, model: str, fingerprint: str) -> None:
        super().__init__(id_, created, model, fingerprint)
        self._written: dict[int, int] = {}  # characters of each choice that are out, where its next token begins

    def role(self, index: int) -> bytes:  # noqa: ARG002
        """Nothing: texts have no roles."""
        return NOTHING

    def reasoning(self, index: int, text: str) -> bytes:  # noqa: ARG002
        """Nothing: every text here is part of an answer."""
        return NOTHING

    def event(self, fields: dict[str, Any]) -> bytes:
        """One search event beside an empty text."""
        return self._chunk([TextChoice(index=0, text="", finish_reason=None)], search_event=fields)

    def content(self, index: int, text: str, logprobs: Logprobs | None = None) -> bytes:
        """A piece of an answer."""
        start = self._written.get(index, 0)
        self._written[index] = start + len(text)
        told = older_shape(logprobs.content, start) if logprobs else None
        return self._chunk([TextChoice(index=index, text=text, logprobs=told, finish_reason=None)])

    def call(self, index: int, piece: ToolCallPiece) -> bytes:  # noqa: ARG002
        """Nothing: texts call no tools."""
        return NOTHING

    def finish(self, index: int, reason: FinishReason, summary: SearchSummary | None) -> bytes:
        """Ends a choice."""
        choice = TextChoice(index=index, text="", finish_reason=reason)
        return self._chunk([choice], search=summary.model_dump() if summary else None)

    def _chunk(self, choices: list[TextChoice], **more: dict[str, Any] | None) -> bytes:
        chunk = TextCompletionChunk(**self._shared, choices=choices).model_dump(exclude_none=True)
        for choice in chunk["choices"]:
            choice.setdefault("finish_reason", None)  # older clients look it up
        return data(chunk | {name: value for name, value in more.items() if value is not None})


def data(fields: dict[str, Any]) -> bytes:
    """One server-sent event. JSON keeps it on a single line."""
    return b"data: " + json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n\n"
