r"""When two answers are the same: an exact, cheap key per answer, so that grouping is one pass.

``0.5``, ``1/2``, ``\frac{1}{2}`` and ``$0.50$`` share a key, and so do ``(3+5)*7-2`` and ``54``. Everything else is
compared as text after LaTeX dressing, blanks and case are gone. Algebra is left to a slower checker.
"""

from __future__ import annotations

import re
from fractions import Fraction

from reward.arithmetic import evaluate

LONGEST = 500
"""Characters of an answer that are worth more than comparing as they are."""

_DRESSING = ("\\left", "\\right", "\\displaystyle", "\\!", "\\,", "\\;", "\\:", "\\(", "\\)", "\\[", "\\]", "\\$", "$")
_SIGNS = {"\\times": "*", "\\cdot": "*", "\\div": "/", "\\%": "%", "×": "*", "·": "*", "÷": "/", "−": "-", "–": "-",
          "⁄": "/", "\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\ ": " ", "~": " "}  # fmt: skip
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_THOUSANDS = re.compile(r"(?<![0-9.,])([1-9][0-9]{0,2})((?:,[0-9]{3})+)(?![0-9,])")
_NAMED = re.compile(r"^[a-zA-Z] ?= ?(?=[^=]+$)")
_WRAPPERS = ("\\boxed", "\\text", "\\mathrm", "\\mathbf", "\\textbf", "\\mbox")

Key = tuple[str, Fraction | str]


def key(answer: str) -> Key:
    """Equal for answers that are the same; ``("number", value)`` or ``("text", normal form)``."""
    text = plain(answer)
    value = _value(text)
    if value is not None:
        return ("number", value)
    return ("text", "".join(text.split()).casefold())


def plain(answer: str) -> str:
    """The answer without LaTeX dressing, in ASCII signs where there are some."""
    text = answer[:LONGEST].translate(_FULL_WIDTH).strip()
    for dressing in _DRESSING:
        text = text.replace(dressing, "")
    for sign, ascii_sign in _SIGNS.items():
        text = text.replace(sign, ascii_sign)
    text = _unwrap(text)
    text = _fractions(text)
    text = _joined(text.strip())
    text = _NAMED.sub("", text).strip()
    return text[:-1].rstrip() if text.endswith((".", "。")) and len(text) > 1 else text


def _value(text: str) -> Fraction | None:
    """The value of an expression, or of an equation such as ``(3+5)*7-2 = 54`` whose sides agree."""
    left, equals, right = text.partition("=")
    value = evaluate(left)
    if not equals or value is None:
        return value
    return value if evaluate(right) == value else None


def _unwrap(text: str) -> str:
    r"""Takes the content out of ``\text{…}`` and its like, which only change how an answer looks."""
    for wrapper in _WRAPPERS:
        while text.startswith(wrapper + "{") and _group(text, len(wrapper)) == len(text):
            text = text[len(wrapper) + 1 : -1].strip()
    return text


def _fractions(text: str) -> str:
    r"""Rewrites ``\frac{a}{b}`` as ``((a)/(b))``; malformed ones stay as they are. Nested ones to a bounded depth."""
    for _ in range(text.count("\\frac")):
        at = text.rfind("\\frac")  # the last one holds no other that is not rewritten yet
        top = _group(text, at + len("\\frac"))
        bottom = _group(text, top)
        if bottom < 0:
            break
        above, below = _inside(text[at + len("\\frac") : top]), _inside(text[top:bottom])
        text = f"{text[:at]}(({above})/({below})){text[bottom:]}"
    return text


def _inside(group: str) -> str:
    """A group without its braces."""
    return _joined(group[1:-1]) if group.startswith("{") else group


def _joined(text: str) -> str:
    """Numbers without the commas between their thousands. In brackets a comma parts two numbers: an interval's ends."""

    def number(found: re.Match[str]) -> str:
        before = text[: found.start()]
        enclosed = sum(map(before.count, "([{")) > sum(map(before.count, ")]}"))
        return found[0] if enclosed else found[0].replace(",", "")

    return _THOUSANDS.sub(number, text)


def _group(text: str, at: int) -> int:
    """Where the ``{…}`` or single digit that starts at ``at`` ends, or -1 when there is none."""
    if at < 0 or at >= len(text):
        return -1
    if text[at] != "{":
        return at + 1 if "0" <= text[at] <= "9" else -1
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return i + 1
    return -1
