"""Text out of tokens, one token at a time: where each token's text ends, and where the visible text is cut.

Tokens and characters do not line up: a token may hold several characters and a character may take several tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What decoding gives for the first bytes of a character whose last bytes are still to come."""

CONTEXT_TOKENS = 8
"""Tokens before the text that are decoded with it, so that blanks and characters begun there come out right."""

LONGEST_CHARACTER = 8
"""Tokens after which bytes that form no character are taken for what they are. UTF-8 needs at most 4."""


class Decoder(Protocol):
    """The part of a tokenizer that is needed here."""

    def decode_text(self, token_ids: Sequence[int], *, skip_special: bool) -> str:
        """The text of token ids; incomplete characters come out as U+FFFD."""
        ...


class Transcript:
    """The tokens of one continuation and their text so far.

    Args:
        tokenizer: Decodes.
        prefix: Token ids before the continuation.
        skip_special: Leave special tokens out of the text.
    """

    def __init__(self, tokenizer: Decoder, prefix: Sequence[int], *, skip_special: bool = True) -> None:
        self.token_ids: list[int] = []
        self.text = ""
        self.ends: list[int] = []
        """Length of ``text`` after each token."""
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._window = list(prefix[-CONTEXT_TOKENS:])
        self._known = len(self._window)
        self._known_text = self._decode(self._window).rstrip(UNFINISHED)

    def read(self, token_ids: Iterable[int]) -> None:
        """Appends tokens and what they add to the text."""
        for token in token_ids:
            self.token_ids.append(token)
            self.text += self._advance(token)
            self.ends.append(len(self.text))

    def end(self, count: int) -> int:
        """Length of the text after the first ``count`` tokens."""
        return self.ends[count - 1] if count else 0

    def _advance(self, token: int) -> str:
        self._window.append(token)
        text = self._decode(self._window)
        if text.endswith(UNFINISHED) and len(self._window) - self._known < LONGEST_CHARACTER:
            return ""
        new = text[len(self._known_text) :]
        self._window = self._window[self._known :]
        self._known = len(self._window)
        self._known_text = self._decode(self._window)
        return new

    def _decode(self, token_ids: Sequence[int]) -> str:
        return self._tokenizer.decode_text(token_ids, skip_special=self._skip_special)


def find_stop(transcript: Transcript, stops: Sequence[str], first: int) -> tuple[str, int] | None:
    """The stop string that is complete earliest, looking only at those that end after token ``first`` began.

    Returns:
        The string and where it starts; None when there is none. Of two that end together the first listed wins.
    """
    since = transcript.end(first)
    best: tuple[int, str, int] | None = None
    for stop in stops:
        at = transcript.text.find(stop, max(0, since - len(stop) + 1))
        if at >= 0 and (best is None or at + len(stop) < best[0]):
            best = (at + len(stop), stop, at)
    return None if best is None else (best[1], best[2])
