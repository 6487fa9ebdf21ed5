"""What the OpenAPI document says of replies besides the ordinary one."""

from __future__ import annotations

from typing import Any

from server.schemas.reply import ErrorReply

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
CHAT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; with `stream` a sequence of chunks (ChatCompletionChunk) as server-sent events.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


TEXT: dict[int | str, dict[str, Any]] = {
    200: CHAT[200]
    | {"description": "The answers; with `stream` a sequence of chunks (TextCompletionChunk) as server-sent events."}
}
