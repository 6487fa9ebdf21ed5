"""From pydantic's list of faults to one refusal that names fields as the client wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcts import errors

MAX_DETAILS = 10
"""Validation faults named in one reply."""

MAX_QUOTE = 200
"""Characters of the client's own input that a message repeats."""

PARAMETERS = ("query", "path")
"""Where faults of what stands in the address are located."""


def invalid(faults: Sequence[Mapping[str, Any]], given: object, prefix: str = "") -> errors.InvalidRequest:
    """One error for pydantic's list of faults: at most ten are named, the first names ``param``.

    Args:
        faults: As pydantic lists them.
        given: What was validated; tells the client's names in a location from pydantic's names of union members.
        prefix: Dotted name of ``given``; empty for the whole body.
    """
    lines = list(dict.fromkeys(_fault_line(fault, given, prefix) for fault in faults[:MAX_DETAILS]))
    if len(faults) > MAX_DETAILS:
        lines.append(f"and {len(faults) - MAX_DETAILS} more")
    return errors.InvalidRequest("; ".join(lines), _dotted(faults[0], given, prefix) or None)


def _fault_line(fault: Mapping[str, Any], given: object, prefix: str) -> str:
    name, message = _dotted(fault, given, prefix), str(fault["msg"]).removeprefix("Value error, ")
    if tuple(fault["loc"]) == ("body",) and fault["type"] in {"missing", "model_attributes_type"}:
        return "the body must be a JSON object, sent with Content-Type: application/json"
    if fault["type"] == "extra_forbidden":
        message = "this field is not known here"
    elif fault["type"] == "json_invalid":
        return f"the body is not valid JSON: {fault.get('ctx', {}).get('error', message)}"
    return f"{name[:MAX_QUOTE]}: {message[:MAX_QUOTE]}" if name else message[:MAX_QUOTE]


def _dotted(fault: Mapping[str, Any], given: object, prefix: str) -> str:
    """The field's name as the client wrote it."""
    if fault["type"] == "json_invalid":
        return ""
    if not prefix and fault["loc"][0] in PARAMETERS:
        return ".".join(map(str, fault["loc"][1:]))[:MAX_QUOTE]
    names: list[str] = [prefix] if prefix else []
    at = given
    for place, part in enumerate(fault["loc"]):
        if place == 0 and part == "body":
            continue
        if _leads_on(at, part):
            at = at[part]  # type: ignore[index]
        elif fault["type"] != "missing" or place < len(fault["loc"]) - 1:
            continue  # pydantic's name of a union member, such as ``list[TextPart]``
        names.append(str(part)[:MAX_QUOTE])
    context = fault.get("ctx", {})
    if fault["type"] == "union_tag_invalid":
        names.append(str(context["discriminator"]).strip("'"))
    if named := context.get("field"):
        names.append(str(named))
    return ".".join(names)


def _leads_on(at: object, part: object) -> bool:
    """Whether ``part`` is a key or index of what the client sent."""
    if isinstance(at, Mapping):
        return part in at
    return isinstance(at, list) and isinstance(part, int) and part < len(at)
