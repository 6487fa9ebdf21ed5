"""Which token a text is, for servers that write tokens as text."""

from __future__ import annotations

from collections.abc import Sequence

from engine.tokenizer import HFTokenizer
from engine.transcript import UNFINISHED


class Vocabulary:
    """Token ids by the text of single tokens.

    Part of a character has no text of its own, so a character of several tokens may come out broken.
    """

    def __init__(self, tokenizer: HFTokenizer) -> None:
        self._tokenizer = tokenizer
        texts = [tokenizer.decode([token]) for token in range(tokenizer.vocab_size)]
        self._ids = {text: token for token, text in reversed(list(enumerate(texts))) if text and UNFINISHED not in text}

    def named(self, texts: Sequence[str]) -> list[int]:
        """The token of each text: its own, its piece's, or the first of those that spell it; 0 for no text at all."""
        return [self._named(text) for text in texts]

    def _named(self, text: str) -> int:
        known = self._ids.get(text)
        if known is None:
            known = self._tokenizer.token_id(text)
        return next(iter(self._tokenizer.encode(text)), 0) if known is None else known
