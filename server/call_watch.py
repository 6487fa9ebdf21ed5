"""A streamed answer that may hold calls of tools: what can be told at once, and what must wait until all is known."""

from __future__ import annotations

from dataclasses import dataclass

from mcts.stops import could_begin
from server.tool_parsers import Parsed, ToolFormat

_MARKS: dict[ToolFormat, str] = {"hermes": "<tool_call>", "mistral": "[TOOL_CALLS]"}
"""What begins a call anywhere in a text."""


@dataclass(slots=True)
class CallWatch:
    """Lets text through up to where a call may begin; what is said after that waits for the end.

    Attributes:
        form: How calls are written; None where the whole answer is one.
    """

    form: ToolFormat | None
    _text: str = ""
    _told: int = 0

    def feed(self, text: str) -> str:
        """Takes more text; gives what can be told already."""
        self._text += text
        free = len(self._text[: self._free()].rstrip())  # blanks before a call are no content
        told, self._told = self._text[self._told : free], max(self._told, free)
        return told

    def end(self, parsed: Parsed) -> str:
        """What is still to be told of the text, or of what stands outside its calls, once it has been read whole."""
        if not parsed.calls:
            return self._text[self._told :]
        told = self._text[: self._told].strip()
        return parsed.content.removeprefix(told)

    def _free(self) -> int:
        """How many characters are certainly no part of a call."""
        if self.form is None:
            return 0
        mark = _MARKS.get(self.form)
        if mark is None:  # a Llama's call is the whole text
            bare = self._text.lstrip()
            calls = not bare or bare[0] == "{" or bare.startswith("<|python_tag|>") or "<|python_tag|>".startswith(bare)
            return 0 if calls else len(self._text)
        at = self._text.find(mark)
        return at if at >= 0 else len(self._text) - could_begin(self._text, [mark])
