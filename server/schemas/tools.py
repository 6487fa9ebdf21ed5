"""Tools that a client offers the model, and the calls of them in earlier turns."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from server.schemas.common import Request, Text
from server.schemas.json_schemas import JsonSchema

MOST_TOOLS = 128
"""OpenAI's own bound."""

FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class Function(Request):
    """A function that the model may call."""

    name: FunctionName
    description: Text | None = Field(None, description="What it does and when to call it: the model reads this.")
    parameters: JsonSchema | None = Field(
        None, description="JSON Schema of its arguments, an object; left out, it takes none."
    )
    strict: bool | None = Field(
        None, description="No effect: arguments fit the schema where calls are required, and are the model's own else."
    )

    @field_validator("parameters")
    @classmethod
    def _of_an_object(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        if schema and schema.get("type", "object") != "object":
            raise ValueError("the arguments of a function are an object")
        return schema


class Tool(Request):
    """A tool; functions are the only kind."""

    type: Literal["function"]
    function: Function


class NamedFunction(Request):
    """The name of a function."""

    name: FunctionName


class NamedTool(Request):
    """The one tool that must be called."""

    type: Literal["function"]
    function: NamedFunction


ToolChoice = Literal["none", "auto", "required"] | NamedTool


class CalledFunction(Request):
    """What was called, and with what."""

    name: FunctionName
    arguments: Text = Field(description="A JSON object as text.")

    @field_validator("arguments")
    @classmethod
    def _json_object(cls, text: str) -> str:
        try:
            known = json.loads(text or "{}")
        except (ValueError, RecursionError):
            raise ValueError("not JSON") from None
        if not isinstance(known, dict):
            raise ValueError("not a JSON object")  # noqa: TRY004 - pydantic tells values by it
        return text or "{}"


class ToolCall(Request):
    """A call in an earlier turn of the assistant's."""

    id: Annotated[Text, Field(min_length=1, max_length=256)]
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = Field(None, description="No effect.")
