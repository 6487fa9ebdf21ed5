"""From a request's ``response_format`` to what the engine is held to, and which strategies can be."""

from __future__ import annotations

import json

from mcts.errors import InvalidRequest
from mcts.ports import JsonForm
from server.backend import Backend
from server.form_checker import FormChecker
from server.plans import WHOLE, Plan
from server.schemas.response_format import JsonObjectFormat, JsonSchemaFormat, ResponseFormat

SCHEMA_PARAM = "response_format.json_schema.schema"


async def check_form(form: JsonForm, param: str, checker: FormChecker, backend: Backend) -> None:
    """Refuses a form that would hold up or harm the engine, wherever its schema comes from.

    Args:
        form: What answers are to be held to.
        param: The request's field that it comes from.
        checker: Tries it.
        backend: What would be held to it.

    Raises:
        InvalidRequest: It cannot be used.
        NotReady: It cannot be checked now.
    """
    if form.schema and backend.compiles:
        await checker.check(form.schema, param)


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
    return JsonForm(json.dumps(asked.json_schema.schema_, ensure_ascii=False))
