r"""Finds the final answer in a text: ``\boxed{…}``, ``<answer>`` tags, ``####`` and "the answer is".

Every rule reads the text once, so hostile text costs no more than its length.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence

Rule = Callable[[str], str | None]

LONGEST_TEXT = 200_000
"""Characters read, counted from the end, where the answer stands."""

LONGEST_ANSWER = 500
"""Characters. What is longer is prose or code, which no vote can compare."""

LONGEST_PHRASE = 120
"""Characters after "the answer is"; a longer rest of the line is a sentence that goes on."""

PHRASES = ("the final answer is", "the answer is", "final answer:", "answer:", "答案是", "答案为", "答案:", "答案：")

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # keeps the length, unlike str.lower()
_BOX = "\\boxed{"
_BRACES = re.compile(r"\\boxed\{|\\[{}\\]|[{}]")  # an escaped brace or backslash is taken whole and opens nothing
_NUMBER = re.compile(r"-?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?")


def boxed(text: str) -> str | None:
    r"""The content of the last complete ``\boxed{…}``, braces balanced; of nested ones the innermost."""
    opened: list[int] = []  # for each open brace where a box's content starts, or -1 for a plain brace
    found, found_at = None, -1
    for mark in _BRACES.finditer(text):
        if mark[0] == "}" and opened:
            start = opened.pop()
            if start > found_at:
                found, found_at = text[start : mark.start()], start
        elif mark[0] in {"{", _BOX}:
            opened.append(mark.end() if mark[0] == _BOX else -1)
    return found


def tagged(text: str) -> str | None:
    """The content of the last complete ``<answer>…</answer>``."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, max(end, 0))
    return None if min(start, end) < 0 else text[start + len("<answer>") : end]


def hashes(text: str) -> str | None:
    """What follows the last ``####`` on its line, as GSM8K writes answers."""
    at = text.rfind("####")
    return None if at < 0 else _line(text[at:].lstrip("#"))


def phrase(text: str) -> str | None:
    """What follows the last "the answer is" (or its like) on its line."""
    lowered = text.translate(_LOWER)
    ends = [at + len(each) for each in PHRASES if (at := lowered.rfind(each)) >= 0]
    if not ends:
        return None
    answer = _sentence(_line(text[max(ends) :]).lstrip(" :*"))
    return answer if len(answer) <= LONGEST_PHRASE else None


def last_number(text: str) -> str | None:
    """The last number of the text. A last resort: any prose with a year in it has one."""
    numbers = _NUMBER.findall(text)
    return numbers[-1].replace(",", "") if numbers else None


RULES: dict[str, Rule] = {"boxed": boxed, "tag": tagged, "hashes": hashes, "phrase": phrase, "number": last_number}
"""Extraction rules by name."""

DEFAULT_RULES = ("boxed", "tag", "hashes", "phrase")
"""The order in which they are tried. ``number`` is only used where the settings name it."""


def extract(text: str, rules: Sequence[str] = DEFAULT_RULES) -> str | None:
    """The first non-empty answer that a rule finds, or None for free text."""
    recent = text[-LONGEST_TEXT:]
    for name in rules:
        answer = (RULES[name](recent) or "").strip()
        if answer and len(answer) <= LONGEST_ANSWER:
            return answer
    return None


def _line(text: str) -> str:
    """The text's first line, without surrounding blanks."""
    return text.lstrip().partition("\n")[0].strip()


def _sentence(line: str) -> str:
    """The line up to the end of its first sentence; a point inside a number ends none."""
    for i, character in enumerate(line):
        if character == "。" or (character in ".!?" and line[i + 1 : i + 2] in {"", " "}):
            return line[:i].strip(" *")
    return line.strip(" *")
