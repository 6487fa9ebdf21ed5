"""How a setting is declared, and how lists and mappings among them are written where only text can be."""

from __future__ import annotations

from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, SecretStr
from pydantic.config import JsonDict


def _several(value: object) -> object:
    """Lets lists be written as one comma-separated string, as the environment must."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _pairs(value: object) -> object:
    """Lets mappings be written as ``key=value`` items, values in YAML, as flags and the environment must."""
    items = _several(value)
    if not isinstance(items, (tuple, list)):
        return items
    bad = [item for item in items if "=" not in str(item)]
    if bad:
        raise ValueError(f"expected key=value, got {bad[0]!r}")
    pairs = (str(item).split("=", 1) for item in items)
    return {key: yaml.safe_load(text) for key, text in pairs}  # so that 4, true and {a: 1} have their types


Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_several)]
Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
Pairs = Annotated[dict[str, Any], BeforeValidator(_pairs)]


def setting(group: str, default: Any, description: str, metavar: str = "", **limits: Any) -> Any:
    """A field of ``Settings``: its section, its default, what it does, what stands for its value, and its limits."""
    extra: JsonDict = {"group": group, "metavar": metavar}
    return Field(default, description=description, json_schema_extra=extra, validate_default=True, **limits)
