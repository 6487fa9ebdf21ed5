"""The pieces of an event stream, ready for the wire. Knows their shapes, not their order."""

from __future__ import annotations

import json
from typing import Any

from server.schemas.reply import ChatCompletionChunk, ChunkChoice, Delta, FinishReason, Logprobs, SearchSummary, Usage

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


class Chunks:
    """Builds the chunks of one completion, which share id, time, model and fingerprint."""

    def __init__(self, id_: str, created: int, model: str, fingerprint: str) -> None:
        self._shared: dict[str, Any] = {
            "id": id_,
            "created": created,
            "model": model,
            "system_fingerprint": fingerprint,
        }

    def role(self, index: int) -> bytes:
        """Opens a choice."""
        return self._chunk([ChunkChoice(index=index, delta=Delta(role="assistant", content=""))])

    def progress(self, text: str) -> bytes:
        """Search progress, in both fields that clients read."""
        return self._chunk([ChunkChoice(index=0, delta=Delta(reasoning=text, reasoning_content=text))])

    def event(self, fields: dict[str, Any]) -> bytes:
        """One search event beside an empty delta, which ordinary clients pass over."""
        return self._chunk([ChunkChoice(index=0, delta=Delta())], search_event=fields)

    def content(self, index: int, text: str, logprobs: Logprobs | None = None) -> bytes:
        """A piece of an answer."""
        return self._chunk([ChunkChoice(index=index, delta=Delta(content=text), logprobs=logprobs)])

    def finish(self, index: int, reason: FinishReason, summary: SearchSummary | None) -> bytes:
        """Ends a choice; the last one carries the search summary."""
        choice = ChunkChoice(index=index, delta=Delta(), finish_reason=reason)
        return self._chunk([choice], search=summary.model_dump() if summary else None)

    def usage(self, usage: Usage) -> bytes:
        """The usage, in a chunk without choices."""
        return self._chunk([], usage=usage.model_dump())

    def _chunk(self, choices: list[ChunkChoice], **more: dict[str, Any] | None) -> bytes:
        chunk = ChatCompletionChunk(**self._shared, choices=choices).model_dump(exclude_none=True)
        return data(chunk | {name: value for name, value in more.items() if value is not None})


def data(fields: dict[str, Any]) -> bytes:
    """One server-sent event. JSON keeps it on a single line."""
    return b"data: " + json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n\n"
