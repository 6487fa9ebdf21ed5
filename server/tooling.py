"""What a request's tools mean for its search: the form answers are held to, how calls are read, how they vote."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcts.errors import InvalidRequest
from mcts.ports import AnswerReader, JsonForm
from server.call_watch import CallWatch
from server.plans import WHOLE
from server.schemas.tools import NamedTool, Tool, ToolChoice
from server.tool_parsers import Parsed, ToolFormat, parse, parse_forced

_NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class Tooling:
    """The tools that a model may call in its answer.

    Attributes:
        tools: In OpenAI's shape, for the prompt.
        form: How the model's family writes calls.
        forced: Whether the answer must be calls, as a JSON array.
        callable_tools: Those that may be called: all of them, or the one that was named.
        most: Most calls in one answer; None for any number.
    """

    tools: tuple[Mapping[str, Any], ...]
    form: ToolFormat
    forced: bool
    callable_tools: tuple[Mapping[str, Any], ...]
    most: int | None

    @property
    def names(self) -> frozenset[str]:
        """Names of the tools that may be called."""
        return frozenset(str(tool["function"]["name"]) for tool in self.callable_tools)

    @property
    def shows_marks(self) -> bool:
        """Whether the marks of calls are special tokens, which must not be left out of the text."""
        return not self.forced and self.form != "hermes"

    def read(self, text: str) -> Parsed:
        """Tells the calls in an answer from its text."""
        parsed = parse_forced(text, self.names) if self.forced else parse(text, self.form, self.names)
        return Parsed(parsed.content, parsed.calls[: self.most])

    def watch(self) -> CallWatch:
        """What watches one streamed answer."""
        return CallWatch(None if self.forced else self.form)

    def held_to(self) -> JsonForm | None:
        """The form of an answer that must be calls: an array, whose items fit the functions' parameters.

        Raises:
            InvalidRequest: Two tools define different schemas under one name.
        """
        if not self.forced:
            return None
        shared: dict[str, dict[str, Any]] = {}
        items = [_call_schema(tool, shared) for tool in self.callable_tools]
        schema = {"type": "array", "minItems": 1, "items": items[0] if len(items) == 1 else {"anyOf": items}}
        schema |= {"maxItems": self.most} if self.most else {}
        return JsonForm(json.dumps(schema | shared, ensure_ascii=False))


def tooling(
    tools: Sequence[Tool], choice: ToolChoice | None, parallel: bool | None, form: ToolFormat, strategy: str
) -> Tooling | None:
    """What the tools of a request mean; None without any.

    Args:
        tools: Those on offer.
        choice: What the client wants of them.
        parallel: False allows one call an answer.
        form: How the served model writes calls.
        strategy: What searches.

    Raises:
        InvalidRequest: The strategy writes answers in pieces.
    """
    if not tools:
        return None
    if strategy not in WHOLE:
        raise InvalidRequest(
            f"tools need answers that are written in one piece, and {strategy} writes them step by step. They work "
            f"with {', '.join(WHOLE)}; with tool_choice none any strategy answers.",
            "tools",
        )
    shown = tuple(tool.model_dump(exclude_none=True, exclude={"function": {"strict"}}) for tool in tools)
    named = choice.function.name if isinstance(choice, NamedTool) else None
    allowed = tuple(tool for tool in shown if named in {None, tool["function"]["name"]})
    forced = named is not None or choice == "required"
    return Tooling(shown, form, forced, allowed, 1 if named or parallel is False else None)


def _call_schema(tool: Mapping[str, Any], shared: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The schema of one call. Definitions move to the top of the whole schema, where references look for them."""
    function = tool["function"]
    parameters = dict(function.get("parameters") or _NO_ARGUMENTS)
    for place in ("$defs", "definitions"):
        for name, definition in parameters.pop(place, {}).items():
            if shared.setdefault(place, {}).setdefault(name, definition) != definition:
                raise InvalidRequest(f"Two tools define {name[:64]!r} differently in {place}.", "tools")
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": {"type": "object", **parameters}},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


class CallAnswers:
    """The ``AnswerReader`` of searches with tools: calls vote as calls, answers without any as they always do.

    Texts without a recognisable answer stand together, so that a single call is not preferred to many of them.

    Args:
        tooling: Reads calls.
        answers: Reads all other answers.
        spoken: What of a text is no thought.
    """

    def __init__(self, tooling: Tooling, answers: AnswerReader, spoken: Callable[[str], str]) -> None:
        self._tooling, self._answers, self._spoken = tooling, answers, spoken
        self._calls: set[str] = set()
        self._texts: set[str] = set()

    def extract(self, text: str) -> str | None:
        """The calls in one normal form, or the answer in a text without calls, or the text; None for a blank one."""
        calls = self._tooling.read(self._spoken(text)).calls
        if not calls:
            answer = self._answers.extract(text)
            if answer is None and text.strip():
                self._texts.add(text)
                return text
            return answer
        answer = f"[{', '.join(call.key for call in calls)}]"
        self._calls.add(answer)
        return answer

    async def group(self, answers: Sequence[str]) -> Sequence[int]:
        """For each answer the index of the first one that is the same: equal calls, equivalent answers, or texts."""
        told = self._calls | self._texts
        plain = [place for place, answer in enumerate(answers) if answer not in told]
        alike = await self._answers.group([answers[place] for place in plain])
        first: dict[str, int] = {}
        keys = ("" if answer in self._texts else answer for answer in answers)
        found = [first.setdefault(key, place) for place, key in enumerate(keys)]
        for place, other in zip(plain, alike, strict=True):
            found[place] = plain[other]
        return found
