"""A JSON Schema that a client sends: within limits that take no time to tell.

Whether it is a schema at all is asked where that can be given up: ``server.form_checker``.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator

from server.schemas.common import depth_of

MOST_SCHEMA_CHARACTERS = 65_536
DEEPEST_SCHEMA = 64
"""vLLM's own bound on nesting."""


def small(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself.

    Raises:
        ValueError: It is too deep or too long.
    """
    if depth_of(schema) > DEEPEST_SCHEMA:
        raise ValueError(f"the schema is nested more than {DEEPEST_SCHEMA} deep")
    if len(json.dumps(schema)) > MOST_SCHEMA_CHARACTERS:
        raise ValueError(f"the schema is longer than {MOST_SCHEMA_CHARACTERS} characters")
    return schema


JsonSchema = Annotated[dict[str, Any], AfterValidator(small)]
"""A field that holds one."""
