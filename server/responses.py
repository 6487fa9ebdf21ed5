"""What the OpenAPI document says of replies besides the ordinary one."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.schemas.reply import ChatCompletionChunk, ErrorReply, TextCompletionChunk

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {
        "model": ErrorReply,
        "description": "A field is malformed, out of range, unknown or unsupported; `param` names it.",
    },
    401: {"model": ErrorReply, "description": "No key, or a wrong one."},
    404: {"model": ErrorReply, "description": "The model or preset is not served."},
    413: {"model": ErrorReply, "description": "The body is too large."},
    429: {"model": ErrorReply, "description": "No room for another search; see Retry-After."},
    500: {"model": ErrorReply, "description": "A fault of the server."},
    503: {"model": ErrorReply, "description": "Starting, draining, or an engine failed; see Retry-After."},
    "default": {"model": ErrorReply, "description": "Any other error."},
    504: {"model": ErrorReply, "description": "The deadline passed before any answer existed."},
}


def _streamed(description: str, chunk: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The reply to a request that may be streamed; ``itemSchema`` is what one server-sent event is."""
    told = [{"$ref": f"#/components/schemas/{each.__name__}"} for each in (chunk, ErrorReply)]
    piece = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": told}}
    data = {"anyOf": [{"const": "[DONE]", "description": "The last event."}, piece]}
    event = {"type": "object", "properties": {"data": data}, "required": ["data"]}
    return {200: {"description": description, "content": {"text/event-stream": {"itemSchema": event}}}}


CHAT = _streamed("The answer; with `stream` a sequence of chunks as server-sent events.", ChatCompletionChunk)
TEXT = _streamed("The answers; with `stream` a sequence of chunks as server-sent events.", TextCompletionChunk)


def with_chunks(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the schemas of chunks, which FastAPI does not see: no whole reply has them.

    As they are read, not as they are written: fields that add nothing are left out of chunks.
    """
    chunks: list[tuple[type[BaseModel], Literal["validation"]]] = [
        (ChatCompletionChunk, "validation"),
        (TextCompletionChunk, "validation"),
    ]
    _, made = models_json_schema(chunks, ref_template="#/components/schemas/{model}")
    document["components"]["schemas"] = dict(sorted((made["$defs"] | document["components"]["schemas"]).items()))
    return document
