"""The ``response_format`` of a request: free text, or JSON that constrained decoding guarantees."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from server.schemas.common import Request, Text
from server.schemas.json_schemas import JsonSchema


class TextFormat(Request):
    """Any text."""

    type: Literal["text"]


class JsonObjectFormat(Request):
    """Any JSON object. Say in the prompt that JSON is wanted, or the model may write blanks without end."""

    type: Literal["json_object"]


class NamedSchema(Request):
    """A JSON Schema and what it is called."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$", description="No effect.")]
    description: Text | None = Field(None, description="No effect.")
    schema_: JsonSchema | None = Field(
        None, alias="schema", description="JSON Schema of the answer; left out, any JSON object."
    )
    strict: bool | None = Field(None, description="No effect: the schema is always kept to.")


class JsonSchemaFormat(Request):
    """JSON that fits a schema."""

    type: Literal["json_schema"]
    json_schema: NamedSchema


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]
