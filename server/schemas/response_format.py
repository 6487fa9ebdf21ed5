"""The ``response_format`` of a request: free text, or JSON that constrained decoding guarantees."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from server.schemas.common import Request, Text, depth_of

MOST_SCHEMA_CHARACTERS = 65_536
DEEPEST_SCHEMA = 64
"""vLLM's own bound on nesting."""


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
    schema_: dict[str, Any] | None = Field(
        None, alias="schema", description="JSON Schema of the answer; left out, any JSON object."
    )
    strict: bool | None = Field(None, description="No effect: the schema is always kept to.")

    @field_validator("schema_")
    @classmethod
    def _is_small(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        if schema is not None:
            _check(schema)
        return schema


class JsonSchemaFormat(Request):
    """JSON that fits a schema."""

    type: Literal["json_schema"]
    json_schema: NamedSchema


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


def _check(schema: dict[str, Any]) -> None:
    """What takes no time. Whether it is a schema at all is asked where that can be given up: ``form_checker``."""
    if depth_of(schema) > DEEPEST_SCHEMA:
        raise ValueError(f"the schema is nested more than {DEEPEST_SCHEMA} deep")
    if len(json.dumps(schema)) > MOST_SCHEMA_CHARACTERS:
        raise ValueError(f"the schema is longer than {MOST_SCHEMA_CHARACTERS} characters")
