"""A tiny declared language: scripts with chosen probabilities, a tokenizer, and a default script for whole servers."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcts.ports import Message

EOS = 0
"""End-of-sequence token."""

SPECIAL = ("<eos>", "<system>", "<user>", "<assistant>")
"""Special tokens; their ids are their places here."""

FIRST_PIECE = 16
FIRST_CHARACTER = 100_000
"""Ids of pieces count from the former; a character that is no piece has the latter plus its code point."""

UNKNOWN = "\N{REPLACEMENT CHARACTER}"

END = ""
"""The piece that ends an answer."""

Options = Sequence[tuple[str, float]]
Script = Callable[[str, str], Options | None]
"""Given the prompt's text and the answer so far: the pieces that may come next with their probabilities (which sum to
1); ``END`` ends the answer. None where the script has nothing to say: inside a piece, or about text it did not write.
Pieces on offer at one place must begin with different tokens."""


def script_from(table: Mapping[str, Options]) -> Script:
    """A script that looks the answer so far up in a table and does not read the prompt."""
    return lambda _, answer: table.get(answer)


def pieces_of(table: Mapping[str, Options]) -> tuple[str, ...]:
    """All pieces of a table, for a tokenizer that has one token for each."""
    return tuple(dict.fromkeys(piece for options in table.values() for piece, _ in options if piece))


@dataclass(frozen=True)
class ScriptedTokenizer:
    """One token per declared piece, per special token and per other character.

    Args:
        pieces: Texts that are one token. Where several match, the longest does.
    """

    pieces: tuple[str, ...] = ()
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = {text: number for number, text in enumerate(SPECIAL)}
        ids |= {text: FIRST_PIECE + number for number, text in enumerate(dict.fromkeys(self.pieces))}
        longest_first = sorted(ids, key=len, reverse=True)
        object.__setattr__(self, "_ids", ids)
        object.__setattr__(self, "_pattern", re.compile("|".join(map(re.escape, longest_first)) + "|.", re.DOTALL))

    def encode(self, text: str, *, special: bool = False) -> list[int]:  # noqa: ARG002
        """Token ids of a text; special tokens written in it are recognised, and none are added."""
        parts = self._pattern.findall(text)
        return [self._ids[part] if part in self._ids else FIRST_CHARACTER + ord(part) for part in parts]

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, special tokens included."""
        return "".join(map(self.piece, token_ids))

    def piece(self, token: int) -> str:
        """The text of one token; U+FFFD for an id that is none, and for half of a surrogate pair, which is no text."""
        if token < len(SPECIAL):
            return SPECIAL[token]
        if token >= FIRST_CHARACTER:
            code = token - FIRST_CHARACTER
            return chr(code) if code <= sys.maxunicode and not 0xD800 <= code < 0xE000 else UNKNOWN
        pieces, place = tuple(dict.fromkeys(self.pieces)), token - FIRST_PIECE
        return pieces[place] if 0 <= place < len(pieces) else UNKNOWN

    @property
    def knows_tools(self) -> bool:
        """It has no place for them."""
        return False

    def render(
        self,
        messages: Sequence[Message],
        *,
        continue_final: bool = False,
        closed: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),  # noqa: ARG002
    ) -> list[int]:
        """Token ids of a chat: each turn is its role's special token and its text."""
        turns = [f"<{_role(message)}>{message.content}" for message in messages]
        return self.encode("".join(turns) + ("" if continue_final or closed else "<assistant>"))


def _role(message: Message) -> str:
    role = {"developer": "system", "tool": "user"}.get(message.role, message.role)
    return role if f"<{role}>" in SPECIAL else "user"


def default_script(prompt: str, answer: str) -> Options | None:
    r"""Answers anything, in three steps: repeats the question, thinks, answers in ``\boxed{}``.

    The answer is the sum of the whole numbers in the last user turn (their count of words where there are none): right
    with probability 0.5, one more with 0.3, one less with 0.2. Thinking it over ("Let me check.") makes it right with
    probability 0.9. The repeated question lets tests tell requests apart.
    """
    question = prompt.rpartition("<user>")[2].partition("<")[0].strip()
    echo = f"You asked: {question}\n\n"
    numbers = [int(number) for number in re.findall(r"\d+", question)]
    right = sum(numbers) if numbers else len(question.split())
    if not answer:
        return [(echo, 1.0)]
    if answer == echo:
        return [("Let me check.\n\n", 0.4), ("So it is simple.\n\n", 0.6)]
    if answer.endswith("\n\n"):
        sure = "Let me check." in answer
        return _endings(right, (0.9, 0.06, 0.04) if sure else (0.5, 0.3, 0.2))
    return [(END, 1.0)] if answer.endswith("}") else None


def _endings(right: int, odds: tuple[float, float, float]) -> Options:
    """The three answers, each in words that begin differently."""
    values = zip(("The answer is", "I get", "It must be"), (right, right + 1, max(0, right - 1)), odds, strict=True)
    return [(f"{words} \\boxed{{{value}}}", odd) for words, value, odd in values]
