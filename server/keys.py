"""The keys that clients may use: from the settings and from a file."""

from __future__ import annotations

from pathlib import Path

from mcts.errors import StartupError
from server.settings import Settings


def accepted_keys(settings: Settings) -> tuple[str, ...]:
    """Every key that opens the server; none means that it is open to all.

    Raises:
        StartupError: The file cannot be read or holds no key. A server that was meant to be closed must not open.
    """
    keys = tuple(key.get_secret_value() for key in settings.api_key)
    if not settings.api_key_file:
        return keys
    return (*keys, *_read(settings.api_key_file))


def _read(path: str) -> list[str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise StartupError(f"api_key_file {path!r} cannot be read: {reason}.") from None
    lines = (line.strip() for line in text.splitlines())
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise StartupError(f"api_key_file {path!r} holds no key; it wants one a line.")
    return keys
