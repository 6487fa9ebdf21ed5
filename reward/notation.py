r"""Answers in mathematical notation: which of them an algebra system may be asked about, written as it reads them.

Prose, code, labels such as ``A`` or ``AB`` and other scripts are no mathematics. Read as such, they would become
products of letters, and ``AB`` the same as ``BA``; they are compared as text alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST = 200
"""Characters. What is longer is slow to read and no answer that two samples would write in different ways by chance."""

DEEPEST = 12
"""Brackets inside one another. math-verify's parser takes 9 s for 60 pairs of them."""

_SIGNS = {"×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": r"\div ", "−": "-", "–": "-", "⁄": "/", "π": r"\pi ",
          "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "∅": r"\emptyset ",
          "±": r"\pm ", "°": r"^\circ ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "∈": r"\in ",
          "ℝ": r"\mathbb{R} "}  # fmt: skip
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWER = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_ROOT = re.compile(r"√\s*(?:\(([^()]*)\)|([0-9]+(?:\.[0-9]+)?|[a-zA-Z]))")
_DELIMITERS = re.compile(r"(?<!\\)(?:\\\$|\$|\\[()\[\]])")
_SCIENTIFIC = re.compile(r"(?<![a-zA-Z0-9.])([0-9]+(?:\.[0-9]+)?)[eE]([+-]?[0-9]+)(?![a-zA-Z0-9.])")
_MIXED = re.compile(r"(?<![0-9./^_])([0-9]+) +([0-9]+)/([0-9]+)(?![0-9./])")
_TWO_NUMBERS = re.compile(r"[0-9]\s+[0-9]")
_WORDING = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mbox)\s*\{[^{}]*\}")
_WORDED_UNIT = re.compile(
    r"^(.*[0-9}])[\\ ]*\\(?:text|textrm|mathrm|mbox)\s*\{([^{}]*)\}\s*(?:\^\s*\{?([0-9])\}?)?$", re.DOTALL
)
_BARE_UNIT = re.compile(  # 5 m or 5cm; 5m is five times a variable
    r"^([+-]?[0-9][0-9.,/]*)(?:\s+|(?=[a-z]{2}))"
    r"([kcdm]?m|[km]?g|m?s|min|h|hr|ft|in|yd|mi|lb|oz|m?l)(?:\^\{?([0-9])\}?)?$"
)
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{[a-zA-Z]*\}")
_WORD = re.compile(r"[a-zA-Z]{3,}")
_FUNCTIONS = {"sin", "cos", "tan", "cot", "sec", "csc", "log", "exp", "sqrt", "min", "max", "gcd", "lcm", "mod", "and"}
_CALCULATION = re.compile(r"[0-9+\-*/^=<>|\\]")
_QUOTES = re.compile("[\"'`]")  # the parser drops them, and with them the difference between f and its derivative


@dataclass(frozen=True, slots=True)
class Notation:
    r"""An answer that is mathematics.

    Args:
        latex: The expression, without delimiters around it.
        unit: The unit after it, in lower case: ``cm2`` of ``5\text{ cm}^2``; empty where it has none.
    """

    latex: str
    unit: str = ""

    def may_equal(self, other: Notation) -> bool:
        """Whether it is worth asking: a unit may be left out, but two of them must be the same."""
        return self.unit == other.unit or not (self.unit and other.unit)


def read(answer: str) -> Notation | None:
    r"""Reads an answer; None where it is no mathematics, or too long or too deep to be asked about.

    Mathematics has a digit, an operator or a LaTeX command, and no word of three letters or more outside of
    ``\text{…}`` that does not name a function.
    """
    text = _DELIMITERS.sub(" ", answer.translate(_FULL_WIDTH)).strip().rstrip(".。").rstrip()
    if not text or len(text) > LONGEST:
        return None
    text = _POWER.sub(lambda found: f"^{{{found[0].translate(_RAISED)}}}", text)
    text = _ROOT.sub(lambda found: rf"\sqrt{{{found[1] or found[2]}}}", text)
    for sign, command in _SIGNS.items():
        text = text.replace(sign, command)
    text = _SCIENTIFIC.sub(r"\1\\times 10^{\2}", text)
    text = _MIXED.sub(r"\1\\frac{\2}{\3}", text).strip()
    unit = ""
    if found := _WORDED_UNIT.match(text) or _BARE_UNIT.match(text):
        text, unit = found[1].strip(), "".join(found[2].split()).casefold().rstrip(".") + (found[3] or "")
    return Notation(text, unit) if _is_mathematics(text) else None


def _is_mathematics(text: str) -> bool:
    if not text.isascii() or not text.isprintable() or _depth(text) > DEEPEST:
        return False
    if _TWO_NUMBERS.search(text) or _QUOTES.search(text):
        return False
    bare = _WORDING.sub(" ", _ENVIRONMENT.sub(r"\\x ", text))
    words = _WORD.findall(_COMMAND.sub(" ", bare))
    return bool(_CALCULATION.search(bare)) and all(word.lower() in _FUNCTIONS for word in words)


def _depth(text: str) -> int:
    """How many brackets stand inside one another at most."""
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest
