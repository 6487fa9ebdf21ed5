"""What all request schemas share: unknown fields are refused, types are not coerced, text is valid Unicode."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

passed_over: ContextVar[list[str] | None] = ContextVar("passed_over", default=None)
"""Where a request whose unknown top-level fields are let pass notes their names; None refuses such fields."""


def _valid_unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the text holds half of a surrogate pair, which is no character") from None
    return text


Text = Annotated[str, AfterValidator(_valid_unicode)]
"""A string that can be encoded. JSON escapes can spell lone surrogates, which no tokenizer accepts."""


def at_field(field: str, message: str) -> PydanticCustomError:
    """The error for one field of an object that only the whole object can judge."""
    return PydanticCustomError("field", "{message}", {"field": field, "message": message})


def depth_of(value: Any) -> int:
    """How many objects and lists stand inside each other; counted without recursion, which deep input would exhaust."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        at, depth = waiting.pop()
        inner = at.values() if isinstance(at, dict) else at if isinstance(at, list) else ()
        deepest = max(deepest, depth)
        waiting += [(each, depth + 1) for each in inner if isinstance(each, dict | list)]
    return deepest


class Request(BaseModel):
    """A request body: strict about names and types, so that nothing is silently ignored or guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Reply(BaseModel):
    """A reply body."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())
