"""Fills ``Settings`` from flags, environment and file, in this order of precedence, and names what is wrong with them.

Knows no flag parser: ``server.cli.flags`` hands it the flags that were really given.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mcts.errors import StartupError
from server.settings import Settings

ENV_PREFIX = "ESPALIER_"
CONFIG_VARIABLE = "ESPALIER_CONFIG"

_SERVICE_LINK = re.compile(r"ESPALIER(_\w+)?_(SERVICE_(HOST|PORT\w*)|PORT_\d+_(TCP|UDP)\w*)")
"""What Kubernetes injects into every pod beside a Service named ``espalier`` (enableServiceLinks)."""


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str], config: str | Path | None = None) -> Settings:
    """Merges the three sources: a flag beats the environment, which beats the file, which beats the default.

    Args:
        flags: Only those that were given, by field name.
        environ: The whole environment.
        config: A YAML file; None takes ``ESPALIER_CONFIG``.

    Raises:
        StartupError: A name is unknown or a value is wrong; the message says which and where it came from.
    """
    path = config or environ.get(CONFIG_VARIABLE)
    sources = {
        f"the file {path}": _from_file(path) if path else {},
        "the environment": _from_environ(environ),
        "a flag": dict(flags),
    }
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for source, values in sources.items():
        merged |= values
        origin |= dict.fromkeys(values, source)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise StartupError(_explain(error, origin)) from None


def environment_name(field: str) -> str:
    """The environment variable of a setting."""
    return ENV_PREFIX + field.upper()


def _from_file(path: str | Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise StartupError(f"cannot read the settings file {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StartupError(f"the settings file {path} is not valid YAML: {' '.join(str(error).split())}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise StartupError(f"the settings file {path} must hold 'name: value' lines")
    values = {str(key).replace("-", "_"): value for key, value in loaded.items()}
    _refuse_unknown(values, f"the file {path}", {name: name for name in Settings.model_fields})
    return values


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    ours = {name: value for name, value in environ.items() if name.startswith(ENV_PREFIX) and name != CONFIG_VARIABLE}
    ours = {name: value for name, value in ours.items() if not _is_service_link(name, value)}
    known = {environment_name(field): field for field in Settings.model_fields}
    _refuse_unknown(ours, "the environment", known)
    return {known[name]: value for name, value in ours.items()}


def _is_service_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name)) or (name == "ESPALIER_PORT" and "://" in value)


def _refuse_unknown(given: Mapping[str, Any], source: str, known: Mapping[str, str]) -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise StartupError(f"unknown setting {name} in {source}{hint}")


def _explain(error: ValidationError, origin: Mapping[str, str]) -> str:
    """One line for the first wrong setting. The value is left out: it may be a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    field = str(first["loc"][0])
    return f"{field} (from {origin.get(field, 'its default')}): {message[0].lower()}{message[1:]}"
