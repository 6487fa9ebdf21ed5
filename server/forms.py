"""From a request's ``response_format`` to what the engine is held to, and which strategies can be."""

from __future__ import annotations

import json
from typing import Any

from mcts.errors import InvalidRequest
from mcts.ports import JsonForm
from server.backend import Backend
from server.form_checker import FormChecker
from server.plans import WHOLE, Plan
from server.schemas.response_format import JsonObjectFormat, JsonSchemaFormat, ResponseFormat
from server.tooling import Tooling


async def check_form(asked: ResponseFormat | None, checker: FormChecker, backend: Backend) -> None:
    """Refuses a schema that is none, or that would hold up or harm the engine.

    Raises:
        InvalidRequest: It cannot be used.
        NotReady: It cannot be checked now.
    """
    if isinstance(asked, JsonSchemaFormat) and (schema := asked.json_schema.schema_) is not None:
        await checker.check(_written(schema), compiled=backend.constrains and backend.compiles)


async def check_tools(tools: Tooling, checker: FormChecker, backend: Backend) -> None:
    """Refuses tools whose parameters are no schema, or, where a call is required, cannot be compiled.

    Raises:
        InvalidRequest: They cannot be used, or the engine cannot be made to call a tool.
        NotReady: They cannot be checked now.
    """
    for place, tool in enumerate(tools.tools):
        if schema := tool["function"].get("parameters"):
            param = f"tools.{place}.function.parameters"
            await checker.check(_written(schema), compiled=False, param=param)
    form = tools.held_to()
    if form is None:
        return
    if not backend.constrains:
        raise InvalidRequest("The engine of this server cannot be made to call a tool.", "tool_choice")
    await checker.check(form.schema, compiled=backend.compiles, param="tools")


def form_of(asked: ResponseFormat | None, plan: Plan, backend: Backend) -> JsonForm | None:
    """The form that an answer must have; None for any text.

    Raises:
        InvalidRequest: The strategy writes answers in pieces, or the engine cannot be held to a form.
    """
    if not isinstance(asked, JsonObjectFormat | JsonSchemaFormat):
        return None
    if plan.strategy not in WHOLE:
        raise InvalidRequest(
            f"response_format {asked.type} needs answers that are written in one piece, and {plan.strategy} "
            f"writes them step by step. It works with {', '.join(WHOLE)}.",
            "response_format",
        )
    if not backend.constrains:
        raise InvalidRequest("The engine of this server cannot be held to a form.", "response_format")
    if isinstance(asked, JsonObjectFormat) or asked.json_schema.schema_ is None:
        return JsonForm()
    return JsonForm(_written(asked.json_schema.schema_))


def _written(schema: dict[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False)
