"""The tokens of a step for people: the text of each, and how sure the model was of it. Knows no search."""

from __future__ import annotations

import math

import numpy as np

from mcts.ports import Step, Tokenizer
from reward.confidence import TOP_FIVE, token_confidence

MOST_KNOWN = 300_000
"""Token texts that are remembered: more than any vocabulary has."""

BROKEN = "\N{REPLACEMENT CHARACTER}"

DIGITS = 4
"""Decimal places of a confidence; what people see as a shade needs no more."""


class Spelling:
    """Spells tokens, and remembers how. Threads may share it.

    Args:
        tokenizer: The generating engine's.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}

    def pieces(self, step: Step) -> list[str] | None:
        """The text of each token of a step; joined they are the step's text. None where they cannot be told apart.

        A token that adds no text (the end of the sequence, all but the last byte of a character) has an empty piece.
        """
        text, at = step.text, 0
        pieces: list[str] = []
        waiting = 0  # tokens that are part of a character and wait for its last one
        for token in step.token_ids:
            piece = self._piece(token)
            if BROKEN in piece and not text.startswith(piece, at):
                waiting += 1
                pieces.append("")
                continue
            start = _found(text, piece, at, waiting)
            if start is None:
                pieces.append("")  # a special token, which is no text; or else the rest will not fit either
                continue
            if waiting:
                pieces[-1], waiting, at = text[at:start], 0, start
            pieces.append(text[at : start + len(piece)])
            at = start + len(piece)
        if waiting:
            pieces[-1], at = text[at:], len(text)
        return pieces if at == len(text) else None

    def _piece(self, token: int) -> str:
        known = self._known.get(token)
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                self._known = {}
            known = self._known[token] = self._tokenizer.decode([token])
        return known


def confidences(step: Step) -> list[float | None] | None:
    """Of each token its share of the five likeliest's probability (Marco-o1's c_i), in [0, 1]; higher is surer.

    None where the model did not choose the step, or told fewer than five alternatives.
    """
    if step.forced or not len(step.logprobs) or step.top_logprobs.shape[1] < TOP_FIVE:
        return None
    with np.errstate(all="ignore"):
        values = token_confidence(step.logprobs, step.top_logprobs).tolist()
    return [None if math.isnan(value) else round(value, DIGITS) for value in values]


def token_fields(
    steps: tuple[Step, ...], spelling: Spelling, *, texts: bool
) -> tuple[list[str] | None, list[float | None] | None]:
    """The tokens of some steps, one list over all of them.

    Args:
        steps: The steps, in their order.
        spelling: Spells tokens.
        texts: Whether their texts may be told.

    Returns:
        Their texts, None where they may not be told or cannot be told apart; and their confidences, None where that of
        no token is known.
    """
    pieces = [spelling.pieces(step) for step in steps] if texts else []
    sure = [confidences(step) for step in steps]
    spelled = [piece for each in pieces if each is not None for piece in each] if None not in pieces else None
    known = any(each is not None for each in sure)
    values = [each or [None] * len(step.token_ids) for each, step in zip(sure, steps, strict=True)]
    return spelled or None, [value for each in values for value in each] if known else None


def _found(text: str, piece: str, at: int, waiting: int) -> int | None:
    """Where the piece goes on in the text: there, or behind the blank or the character that still has no token."""
    if not waiting:
        if text.startswith(piece, at):
            return at
        return at + 1 if piece and text.startswith(" " + piece, at) else None  # decoded alone, some lose their blank
    start = text.find(piece, at + 1, at + 1 + waiting + len(piece))
    return start if start >= 0 else None
