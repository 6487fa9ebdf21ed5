"""A JSON Schema that a client sends: within limits, and a schema at all."""

from __future__ import annotations

import json
from typing import Annotated, Any

from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for
from pydantic import AfterValidator

MOST_SCHEMA_CHARACTERS = 65_536
DEEPEST_SCHEMA = 64
"""vLLM's own bound on nesting."""


def checked_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself.

    Raises:
        ValueError: It is too deep, too long, or no JSON Schema.
    """
    if _depth(schema) > DEEPEST_SCHEMA:
        raise ValueError(f"the schema is nested more than {DEEPEST_SCHEMA} deep")
    if len(json.dumps(schema)) > MOST_SCHEMA_CHARACTERS:
        raise ValueError(f"the schema is longer than {MOST_SCHEMA_CHARACTERS} characters")
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"not a JSON Schema: {error.message[:200]}") from None
    return schema


JsonSchema = Annotated[dict[str, Any], AfterValidator(checked_schema)]
"""A field that holds one."""


def _depth(value: Any) -> int:
    """How many objects and lists stand inside each other; counted without recursion, which deep input would exhaust."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        at, depth = waiting.pop()
        inner = at.values() if isinstance(at, dict) else at if isinstance(at, list) else ()
        deepest = max(deepest, depth)
        waiting += [(each, depth + 1) for each in inner if isinstance(each, dict | list)]
    return deepest
