r"""Finds the final answer in a text: ``\boxed{…}``, tags, ``####``, "the answer is", a JSON field, a pattern.

Every rule reads the text once, so hostile text costs no more than its length; a pattern of the operator's has a limit
in time.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import regex

from mcts.errors import StartupError

_log = logging.getLogger(__name__)

Rule = Callable[[str], str | None]

LONGEST_TEXT = 200_000
"""Characters read, counted from the end, where the answer stands."""

LONGEST_ANSWER = 500
"""Characters. What is longer is prose or code, which no vote can compare."""

LONGEST_PHRASE = 120
"""Characters after "the answer is"; a longer rest of the line is a sentence that goes on."""

LONGEST_TRIES = 100
"""Fields of the right name, and phrases, that are looked at, from the end."""

PATTERN_SECONDS = 0.1
"""Longest search for the operator's pattern in one text."""

PHRASES = ("the final answer is", "the answer is", "final answer:", "answer:", "答案是", "答案为", "答案:", "答案：")

_BOX = "\\boxed{"
_BRACES = re.compile(r"\\boxed\{|\\[{}\\]|[{}]")  # an escaped brace or backslash is taken whole and opens nothing
_NUMBER = re.compile(r"-?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?")
_NUMBER_LINE = re.compile(  # in Markdown or LaTeX, with a currency before it or a unit of one word behind it
    r"[*$\\]{0,4}[€£¥]? ?[-+−]?[€£¥$]?(?:\.?[0-9]+(?:[.,/][0-9]+)*)"
    r"(?: ?(?:\\?%|[a-z°][a-z²³/]{0,11}|[A-Z]{1,4}))?[*$\\.]{0,4}"
)
_PHRASE = re.compile("|".join(map(re.escape, PHRASES)), re.IGNORECASE | re.ASCII)
_OPENING = re.compile(r"[\s:：*]*(?:(?:\$\$|\\\[)[ \t\r]*(?:\n\s*|\Z))?")  # and a line that only opens a formula


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
    """What follows the last ``####`` on its line, as GSM8K writes answers, or else on the next line.

    Markdown's headings begin like that too, so it must be a number, unless it ends the text.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    for i in reversed(range(len(lines))):
        _, mark, answer = lines[i].rpartition("####")
        answer, last = answer.strip("# \t\r"), i == len(lines) - 1
        if mark and not answer and not last:
            answer = lines[i + 1].strip()
        if mark and answer and (last or _is_number(answer)):
            return answer
    return None


def _is_number(line: str) -> bool:
    return len(line) <= LONGEST_PHRASE and _NUMBER_LINE.fullmatch(line) is not None


def phrase(text: str) -> str | None:
    """What follows the last "the answer is" (or its like) on its line, or else on the next line; never nothing."""
    ends = [found.end() for found in _PHRASE.finditer(text)]
    for end in reversed(ends[-LONGEST_TRIES:]):
        following = _OPENING.sub("", text[end : end + 2 * LONGEST_ANSWER], count=1)
        if answer := _sentence(_line(following)):
            return answer if len(answer) <= LONGEST_PHRASE else None
    return None


def last_number(text: str) -> str | None:
    """The last number of the text. A last resort: any prose with a year in it has one."""
    numbers = _NUMBER.findall(text)
    return numbers[-1].replace(",", "") if numbers else None


def json_field(name: str) -> Rule:
    """A rule: the value of the last ``"name": …`` that is valid JSON. Texts as they are, all else as JSON writes it.

    The object around it need not be complete: a text that was cut after its answer still has one. ``null`` is none.
    """
    key = re.compile(rf"{re.escape(json.dumps(name, ensure_ascii=False))}\s*:\s*")
    read = json.JSONDecoder().raw_decode

    def rule(text: str) -> str | None:
        for found in reversed(list(key.finditer(text))[-LONGEST_TRIES:]):
            try:
                value, _ = read(text[found.end() : found.end() + 2 * LONGEST_ANSWER])
            except (ValueError, RecursionError):  # no JSON, cut short, or nested too deeply
                continue
            return _written(value)
        return None

    return rule


def _written(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pattern(expression: str) -> Rule:
    """A rule: the last match of a regular expression; its first group where it has any, else the whole match.

    A match that takes longer than 0.1 s (catastrophic backtracking) is given up: the text has no answer by this rule.

    Raises:
        StartupError: The expression is wrong.
    """
    try:
        compiled = regex.compile(expression)
    except regex.error as error:
        raise StartupError(f"answer_pattern {expression!r} is no regular expression: {error}.") from None

    def rule(text: str) -> str | None:
        last = None
        try:
            for last in compiled.finditer(text, timeout=PATTERN_SECONDS):  # noqa: B007 - only the last one counts
                pass
        except TimeoutError:
            _log.warning("answer_pattern took longer than %g s on a text and was given up", PATTERN_SECONDS)
            return None
        return None if last is None else str(last[1 if compiled.groups else 0] or "")

    return rule


RULES: dict[str, Rule] = {"boxed": boxed, "tag": tagged, "hashes": hashes, "phrase": phrase, "number": last_number}
"""Extraction rules by name that need nothing further; ``json`` and ``pattern`` are made from the settings."""

DEFAULT_RULES = ("boxed", "tag", "hashes", "phrase")
"""The order in which they are tried. All others are only used where the settings name them."""


def extract(text: str, rules: Sequence[str] = DEFAULT_RULES, known: Mapping[str, Rule] = RULES) -> str | None:
    """The first non-empty answer that a rule finds, or None for free text."""
    recent = text[-LONGEST_TEXT:]
    for name in rules:
        answer = (known[name](recent) or "").strip()
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
