"""What becomes of a try that failed: every way in which a server can let a call down, with what follows.

| what happened | the server | the call |
|---|---|---|
| no connection, a connection that breaks off | out, until it passes a check | elsewhere |
| silence for longer than the settings bear | out, until it passes a check | elsewhere |
| 502, 503, 504 | out, until it passes a check | elsewhere |
| 500 and other 5xx, a reply that makes no sense | out after three in a row | elsewhere |
| 429, or 503 because its queue is full | stays | elsewhere |
| 401, 403 | out; the key is wrong | elsewhere |
| 400, 404, 413, 422 | stays | refused: another server would do the same |
"""

from __future__ import annotations

import json
from enum import Enum

import httpx

from mcts.errors import InvalidRequest

LONGEST_REASON = 200
"""Characters of a foreign message that are passed on."""

STRIKES = 3
"""Failures in a row that put a server out which otherwise seems well."""

FULL = (b"QueueOverflow", b"MaxQueuedTokens")
"""Types of the errors with which vLLM turns requests away while it is well."""


class Fault(Enum):
    """What a failed try says about the server."""

    GONE = "gone"
    SHAKY = "shaky"
    BUSY = "busy"


class Lost(Exception):
    """A try failed; another server may do better. Never leaves ``engine.remote``."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault


def lost_in_transit(error: httpx.HTTPError | httpx.InvalidURL | httpx.StreamError) -> Lost:
    """What an error on the way means."""
    if isinstance(error, httpx.ConnectTimeout):
        return Lost(Fault.GONE, "no connection in time")
    if isinstance(error, httpx.TimeoutException):
        return Lost(Fault.GONE, "silent for too long")
    if isinstance(error, httpx.ConnectError):
        return Lost(Fault.GONE, f"no connection: {one_line(str(error)) or type(error).__name__}")
    if isinstance(error, httpx.DecodingError):
        return garbage("a body that cannot be decoded")
    return Lost(Fault.GONE, f"the connection broke: {one_line(str(error)) or type(error).__name__}")


def may_be_late(error: BaseException) -> bool:
    """Whether a server that did not answer may only have been too slow."""
    return isinstance(error.__cause__, httpx.TimeoutException)


def status_error(status: int, body: bytes, key_setting: str) -> Lost | InvalidRequest:
    """What a status other than 200 means; ``body`` is the reply's, or its beginning."""
    said = message_of(body)
    if status in {401, 403}:
        return Lost(Fault.GONE, f"the key was refused with {status}; see {key_setting}")
    if status == httpx.codes.TOO_MANY_REQUESTS or any(name in body for name in FULL):
        return Lost(Fault.BUSY, f"{status}: {said}")
    if status in {502, 503, 504}:
        return Lost(Fault.GONE, f"{status}: {said}")
    if 400 <= status < 500:
        return InvalidRequest(f"The engine refused a request with {status}: {said}")
    return Lost(Fault.SHAKY, f"{status}: {said}")


def garbage(what: str) -> Lost:
    """A reply that makes no sense."""
    return Lost(Fault.SHAKY, f"it sent {what}")


def message_of(body: bytes) -> str:
    """What an error's body says, in one line: OpenAI's shape, or the text as it is."""
    try:
        found = json.loads(body)
        error = found.get("error", found)
        told = error.get("message", error) if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        told = body.decode("utf-8", "replace")
    return one_line(str(told)) or "nothing said"


def one_line(text: str) -> str:
    """A foreign message as one short line."""
    return " ".join(text.split())[:LONGEST_REASON]
