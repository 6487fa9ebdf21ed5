"""The form of log lines: text for people, or one JSON object per line. Fields of a record travel in ``extra=``."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal


def configure_logging(level: str, form: Literal["text", "json"]) -> None:
    """Sends everything to standard error in one form. Called once, by the process, never by the app."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("uvicorn", "httpx", "httpcore", "vllm"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))


class JsonLines(logging.Formatter):
    """One JSON object per line, in ASCII: no text can break out of its line or steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            **getattr(record, "fields", {}),
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """``time level logger: message key=value …``.

    Whatever a message or a field holds stays in its line: characters that do not print are escaped, values that hold
    blanks, quotes or ``=`` are written as JSON strings. Lines of a traceback are indented: none looks like a record.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, and below it the traceback if there is one."""
        fields = "".join(f" {key}={_value(value)}" for key, value in getattr(record, "fields", {}).items())
        line = f"{_time(record)} {record.levelname:<7} {record.name}: {_printable(record.getMessage())}{fields}"
        if not record.exc_info:
            return line
        traceback = self.formatException(record.exc_info).splitlines()
        return "\n".join([line, *(f"    | {_printable(each)}" for each in traceback)])


def _value(value: Any) -> str:
    text = str(value)
    bare = text and not any(each in text for each in ' "=')
    return _printable(text) if bare else json.dumps(text, ensure_ascii=True)


def _printable(text: str) -> str:
    """The text with a backslash and what does not print (line breaks of every kind, escape sequences) escaped."""
    return "".join(
        each if each.isprintable() and each != "\\" else each.encode("unicode_escape").decode() for each in text
    )


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
