"""Reading calls of tools in what a model wrote. Each family of models has a way of its own to write them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

ToolFormat = Literal["hermes", "llama3_json", "mistral"]
"""How a family of models writes calls."""

_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the function's name, and its arguments as the text of a JSON object."""

    name: str
    arguments: str

    @property
    def key(self) -> str:
        """By what equal calls are recognised: blanks and the order of keys make no difference."""
        return json.dumps([self.name, json.loads(self.arguments)], sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text apart: what is no call, and the calls in order."""

    content: str
    calls: tuple[Call, ...] = ()


def parse(text: str, form: ToolFormat, names: Collection[str]) -> Parsed:
    """Tells calls from text. What cannot be read as calls of these tools stays text: nothing is lost.

    Args:
        text: What the model wrote.
        form: How its family writes calls.
        names: The tools on offer; a call of another one is text.

    Returns:
        Where there are calls, the text outside them without blanks at its ends; else the text as it is.
    """
    content, calls = _READERS[form](text, names)
    return Parsed(content.strip(), tuple(calls)) if calls else Parsed(text)


def parse_forced(text: str, names: Collection[str]) -> Parsed:
    """Calls from the JSON array that a required call is held to; a text that a limit cut stays text."""
    value, end = _json(text, 0)
    calls = _calls(value, names) if not text[end:].strip() else None
    return Parsed("", tuple(calls)) if calls else Parsed(text)


def _hermes(text: str, names: Collection[str]) -> tuple[str, list[Call]]:
    """``<tool_call>{"name": …, "arguments": {…}}</tool_call>``, anywhere; the last mark may be missing."""
    calls: list[Call] = []
    content, at = "", 0
    for begin in re.finditer(re.escape("<tool_call>"), text):
        if begin.start() < at:
            continue
        value, end = _json(text, begin.end())
        read = _calls(value, names)
        closed = re.compile(r"\s*(</tool_call>|$)").match(text, end) if read else None
        if read and closed:
            content += text[at : begin.start()]
            calls += read
            at = closed.end()
    return content + text[at:], calls


def _llama(text: str, names: Collection[str]) -> tuple[str, list[Call]]:
    """Llama 3: the whole text is one object with ``name`` and ``parameters``, or several with ``;`` between them."""
    rest = text.strip().removeprefix("<|python_tag|>").strip()
    calls: list[Call] = []
    at = 0
    while at < len(rest):
        value, end = _json(rest, at)
        read = _calls(value, names) if isinstance(value, dict) else None
        if not read:
            return text, []
        calls += read
        at = end + len(rest[end:]) - len(rest[end:].lstrip("; \n\t"))
    return "", calls


def _mistral(text: str, names: Collection[str]) -> tuple[str, list[Call]]:
    """``[TOOL_CALLS][{"name": …, "arguments": {…}}, …]``, or since version 11 ``[TOOL_CALLS]name{…}`` repeatedly."""
    content, mark, rest = text.partition("[TOOL_CALLS]")
    if not mark:
        return text, []
    value, end = _json(rest, 0)
    read = _calls(value, names)
    if read and not rest[end:].strip():
        return content, read
    calls = [_named(piece, names) for piece in rest.split("[TOOL_CALLS]")]
    return (text, []) if None in calls else (content, [call for call in calls if call])


def _named(piece: str, names: Collection[str]) -> Call | None:
    name, brace, _ = piece.partition("{")
    value, end = _json(piece, len(name)) if brace else (None, 0)
    whole = isinstance(value, dict) and not piece[end:].strip()
    name = name.strip().removesuffix("[ARGS]").strip()
    return _call({"name": name, "arguments": value}, names) if whole else None


_READERS: dict[ToolFormat, Callable[[str, Collection[str]], tuple[str, list[Call]]]] = {
    "hermes": _hermes,
    "llama3_json": _llama,
    "mistral": _mistral,
}


def _json(text: str, at: int) -> tuple[Any, int]:
    """The JSON value that begins at a place, blanks before it passed over, and where it ends; None for none."""
    start = at + len(text[at:]) - len(text[at:].lstrip())
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, at
    return value, end


def _calls(value: Any, names: Collection[str]) -> list[Call] | None:
    """The calls in an object or a list of objects; None where any of them is none."""
    entries: Sequence[Any] = value if isinstance(value, list) else [value]
    calls = [_call(entry, names) for entry in entries]
    return None if None in calls else [call for call in calls if call]


def _call(entry: Any, names: Collection[str]) -> Call | None:
    if not isinstance(entry, dict) or entry.get("name") not in names:
        return None
    arguments = entry.get("arguments", entry.get("parameters", {}))
    if isinstance(arguments, str):  # some models write the object as a text
        arguments, _ = _json(arguments, 0)
    if not isinstance(arguments, dict):
        return None
    try:
        return Call(entry["name"], json.dumps(arguments, ensure_ascii=False, allow_nan=False))
    except ValueError:  # NaN is no JSON
        return None
