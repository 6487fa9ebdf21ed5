"""A JSON Schema that a client sends: within limits, and a schema at all."""

from __future__ import annotations

import json
from typing import Annotated, Any

from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for
from pydantic import AfterValidator

from server.schemas.common import depth_of

MOST_SCHEMA_CHARACTERS = 65_536
DEEPEST_SCHEMA = 64
"""vLLM's own bound on nesting."""


def checked_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself.

    Raises:
        ValueError: It is too deep, too long, or no JSON Schema.
    """
    if depth_of(schema) > DEEPEST_SCHEMA:
        raise ValueError(f"the schema is nested more than {DEEPEST_SCHEMA} deep")
    if len(json.dumps(schema)) > MOST_SCHEMA_CHARACTERS:
        raise ValueError(f"the schema is longer than {MOST_SCHEMA_CHARACTERS} characters")
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"not a JSON Schema: {error.message[:200]}") from None
    except (RecursionError, OverflowError):  # by Python's compiler of regular expressions, which tries its patterns
        raise ValueError("not a JSON Schema: a pattern of it cannot be read") from None
    return schema


JsonSchema = Annotated[dict[str, Any], AfterValidator(checked_schema)]
"""A field that holds one."""
