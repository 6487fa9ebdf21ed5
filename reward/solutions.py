"""A path as reward models read it: the question, and the steps of the solution."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from mcts.ports import Message, Path

BLANK_LINE = re.compile(r"\n\n")
"""Ends a step almost everywhere."""


def steps_of(text: str, separator: re.Pattern[str] = BLANK_LINE) -> list[str]:
    """The steps of a text, in order, stripped, never empty ones.

    A text that ends with the separator has no empty last step; a last step that was cut short is a step.
    """
    pieces = (piece.strip() for piece in separator.split(text))
    return [piece for piece in pieces if piece]


def turns_of(path: Path) -> list[Message]:
    """The chat without system turns and without the prefill, which is part of the solution.

    Earlier turns are kept: a follow-up question means nothing without them. Raw text is one user turn.
    """
    messages = [message for message in path.prompt.messages if message.role != "system"]
    if path.prompt.prefill and messages and messages[-1].role == "assistant":
        messages = messages[:-1]
    return messages or [Message("user", path.prompt.text)]


def question_of(path: Path) -> str:
    """The chat as one text, for families that know no turns: what was said, in order, between blank lines."""
    return "\n\n".join(turn.content.strip() for turn in turns_of(path))


def without(turns: Sequence[Message], tag: str) -> list[Message]:
    """The turns with a special token taken out, so that nobody can smuggle one in."""
    return [replace(turn, content=unmarked(turn.content, tag)) for turn in turns]


def unmarked(text: str, mark: str) -> str:
    """The text with a mark taken out until there is none: what is left of ``<a<ab>b>`` around ``<ab>`` is one too.

    It is read once, so that hostile nesting costs no more than its length.

    Args:
        text: Any text.
        mark: What must not stand in it; not empty.
    """
    if mark not in text:
        return text
    kept: list[str] = []
    for character in text:
        kept.append(character)
        if character == mark[-1] and "".join(kept[-len(mark) :]) == mark:
            del kept[-len(mark) :]
    return "".join(kept)
