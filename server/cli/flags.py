"""Command-line flags made from ``Settings``: one flag per field, grouped and described as the field says."""

from __future__ import annotations

import argparse
import types
import typing
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from server.bundled import bundled
from server.configuration import environment_name
from server.settings import Settings

EPILOG = """Every flag is also an environment variable (--max-searches is ESPALIER_MAX_SEARCHES) and a key of the YAML
file named by --config (max_searches: 64). A flag beats the environment, which beats the file."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds ``--config`` and one flag per setting, in their groups. Flags that are not given are absent afterwards."""
    parser.add_argument("--config", metavar="FILE", help="YAML file with settings. Environment: ESPALIER_CONFIG")
    parser.epilog = EPILOG
    groups: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        title = str(extra(field)["group"])
        group = groups.setdefault(title, parser.add_argument_group(title) if title not in groups else None)
        _add_flag(group, name, field)


def given_flags(parsed: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as flags."""
    return {name: value for name, value in vars(parsed).items() if name in Settings.model_fields}


def extra(field: FieldInfo) -> dict[str, Any]:
    """What a setting says beside its type: its group and metavar."""
    return dict(field.json_schema_extra) if isinstance(field.json_schema_extra, dict) else {}


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The values of a setting that has a fixed set; empty otherwise."""
    return typing.get_args(field.annotation) if typing.get_origin(field.annotation) is typing.Literal else ()


def default_text(field: FieldInfo) -> str:
    """The default for people; empty where the description tells it or there is nothing to tell."""
    default = field.default
    if default is None or default in ("", (), {}) or isinstance(default, bool):
        return ""
    return str(default).removeprefix(f"{Path(bundled('.')).parent}/")  # the same on every machine


def is_switch(field: FieldInfo) -> bool:
    """Whether the setting is a yes or no."""
    kinds = typing.get_args(field.annotation) if isinstance(field.annotation, types.UnionType) else (field.annotation,)
    return bool in kinds


def _add_flag(group: Any, name: str, field: FieldInfo) -> None:
    text = (field.description or "").replace("%", "%%")
    if told := default_text(field):
        text += f" (default: {told})"
    flag, options = f"--{name.replace('_', '-')}", {"dest": name, "default": argparse.SUPPRESS}
    if is_switch(field):
        group.add_argument(flag, action=argparse.BooleanOptionalAction, help=text, **options)
    elif "Repeatable" in text or isinstance(field.default, tuple | dict):
        group.add_argument(flag, action="append", metavar=extra(field)["metavar"], help=text, **options)
    else:
        metavar = extra(field)["metavar"] or "{" + ",".join(choices(field)) + "}"
        group.add_argument(flag, metavar=metavar, help=text, **options)


def document_settings() -> str:
    """docs/settings.md, made from the settings so that it cannot fall behind."""
    lines = ["# Settings", "", " ".join(EPILOG.split()), ""]
    title = ""
    for name, field in Settings.model_fields.items():
        if extra(field)["group"] != title:
            title = str(extra(field)["group"])
            lines += [
                "",
                f"## {title.capitalize()}",
                "",
                "| flag | environment | default | what it does |",
                "|---|---|---|---|",
            ]
        default = default_text(field) or (str(field.default).lower() if isinstance(field.default, bool) else "")
        told = f"`{default}`" if default else ""
        values = f" One of: {', '.join(choices(field))}." if choices(field) else ""
        flag = f"`--{name.replace('_', '-')}`"
        lines.append(f"| {flag} | `{environment_name(name)}` | {told} | {field.description}{values} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"
