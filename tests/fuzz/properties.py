"""What holds for any text, however hostile: what the fuzzers, guided by coverage or by hypothesis, try to break."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reward.answers import StandardAnswers
from reward.equivalence import key
from reward.extraction import RULES
from reward.notation import read
from server.call_watch import CallWatch
from server.cli.sse import lines_of
from server.schemas.chat import ChatRequest
from server.thoughts import Marks, ThoughtSplitter
from server.tool_parsers import ToolFormat, parse, parse_forced

NAMES = ("add", "look_up")
"""Of the tools on offer."""

EXPRESSION = r"Result: (.*)"
EACH_RULE = [StandardAnswers(rules=(name,), expression=EXPRESSION) for name in (*RULES, "json", "pattern")]
ALL_RULES = StandardAnswers(rules=(*RULES, "json", "pattern"), expression=EXPRESSION)


def chunks(text: str, cuts: Sequence[int]) -> list[str]:
    """The text cut at some places."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in itertools.pairwise(places)]


def an_answer_is_found_or_none(text: str) -> None:
    """No rule raises, and what it finds can be compared."""
    for rule in EACH_RULE:
        found = rule.extract(text)
        assert found is None or isinstance(found, str)
        if found is not None:
            hash(key(found))
            read(found)
    assert ALL_RULES.extract(text) == ALL_RULES.extract(text)


def a_thought_is_split_alike(text: str, cuts: Sequence[int], opened: Marks | None) -> None:
    """Piece by piece or at once, the same thought and the same answer, and nothing is made up."""

    def split(parts: list[str]) -> tuple[str, str]:
        splitter = ThoughtSplitter(opened)
        pieces = [piece for part in parts for piece in splitter.feed(part)] + list(splitter.end())
        thought = "".join(piece.text for piece in pieces if piece.thought)
        return thought, "".join(piece.text for piece in pieces if not piece.thought)

    whole = split([text])
    assert split(chunks(text, cuts)) == whole
    assert split(list(text)) == whole
    assert len(whole[0]) + len(whole[1]) <= len(text)


def a_stream_is_read_alike(text: str, cuts: Sequence[int]) -> None:
    r"""Cut anywhere, a stream has the lines between its ``\n``, each without one ``\r`` at its end."""
    lines = text.split("\n")
    expected = [line.removesuffix("\r") for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    assert list(lines_of(chunks(text, cuts))) == expected


def calls_are_read_or_left(text: str, cuts: Collection[int], form: ToolFormat) -> None:
    """What is read as calls is JSON of tools on offer; a text without calls stays whole, in a stream too."""
    for parsed in (parse(text, form, NAMES), parse_forced(text, NAMES)):
        assert all(call.name in NAMES and isinstance(json.loads(call.arguments), dict) for call in parsed.calls)
        assert parsed.calls or parsed.content == text
    parsed, watch = parse(text, form, NAMES), CallWatch(form)
    told = "".join(watch.feed(piece) for piece in chunks(text, list(cuts))) + watch.end(parsed)
    assert told.strip() == parsed.content if parsed.calls else told == text


def a_body_is_read_or_refused(body: bytes) -> None:
    """Bytes are a chat, or what is wrong with them can be told."""
    faults = _faults(body)
    assert all(isinstance(fault["msg"], str) for fault in faults)


def _faults(body: bytes) -> Sequence[ErrorDetails]:
    try:
        ChatRequest.model_validate_json(body)
    except ValidationError as error:
        return error.errors(include_url=False)
    return ()
