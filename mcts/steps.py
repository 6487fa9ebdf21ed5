"""Where one step of a path ends and the next begins. Knows text and token ids, neither trees nor engines."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mcts.options import require, require_between
from mcts.ports import Continuation, Finish, Step
from mcts.stops import trimmed

ENDED = frozenset({Finish.EOS, Finish.STOP})
"""Finishes after which the model has nothing to add: the text is an answer."""

MOST_STEP_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class StepRule:
    """How text is cut into steps.

    Args:
        delimiters: A step ends with the token that holds the last character of one of these. Longer strings first
            make no difference: where several match at one place, the longest does.
        tokens: A step has this many tokens (a mini-step: 32 or 64), 1 to 4096; delimiters then play no part. Higher
            values make trees shallower and each choice coarser.
    """

    delimiters: tuple[str, ...] = ("\n\n",)
    tokens: int | None = None

    def __post_init__(self) -> None:
        if self.tokens is not None:
            require_between(self.tokens, 1, MOST_STEP_TOKENS, "search.step.tokens")
        else:
            require(bool(self.delimiters) and all(self.delimiters), "A delimiter is empty.", "search.step.delimiter")

    @property
    def stops(self) -> tuple[str, ...]:
        """What a call for one step asks the engine to stop at."""
        return () if self.tokens is not None else self.delimiters

    def limit(self, max_tokens: int) -> int:
        """Most tokens of a call for one step, when the path has room for ``max_tokens``."""
        return max_tokens if self.tokens is None else min(self.tokens, max_tokens)

    def split(self, continuation: Continuation) -> tuple[Step, ...]:
        """Cuts a continuation into steps, at token boundaries.

        Pieces without a visible character (a second blank line, a lone end-of-sequence token) join the step before, or
        at the beginning the one after: reward models must never meet an empty step.

        Returns:
            At least one step. Their token ids and texts joined are the continuation's; the last carries its finish,
            those before end by DELIMITER or (mini-steps) LENGTH.
        """
        ends = _without_blank_pieces(continuation, self._ends(continuation))
        between = Finish.DELIMITER if self.tokens is None else Finish.LENGTH
        starts = [0, *ends[:-1]]
        return tuple(
            _slice(continuation, start, end, None if end == ends[-1] else between)
            for start, end in zip(starts, ends, strict=True)
        )

    def _ends(self, continuation: Continuation) -> list[int]:
        """Token indices after which a piece ends, rising; the last is the number of tokens."""
        count = len(continuation.token_ids)
        if self.tokens is not None:
            return [*range(self.tokens, count, self.tokens), count]
        found = [match.end() for match in _pattern(self.delimiters).finditer(continuation.text)]
        tokens = np.searchsorted(continuation.offsets, found, side="left") + 1
        return [*sorted({int(end) for end in tokens if end < count}), count]


@functools.lru_cache(maxsize=256)
def _pattern(delimiters: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(text) for text in sorted(delimiters, key=len, reverse=True)))


def _text_end(continuation: Continuation, end: int) -> int:
    """Characters of the text once ``end`` tokens have been read."""
    if end >= len(continuation.token_ids):
        return len(continuation.text)
    return int(continuation.offsets[end - 1]) if end else 0


def _without_blank_pieces(continuation: Continuation, ends: Sequence[int]) -> list[int]:
    """Joins pieces of nothing but white space to a neighbour."""
    kept: list[int] = []
    start = 0
    for end in ends:
        blank = not continuation.text[_text_end(continuation, start) : _text_end(continuation, end)].strip()
        if not blank:
            kept.append(end)
            start = end
        elif kept:
            kept[-1] = start = end
    return kept or [ends[-1]]


def _slice(continuation: Continuation, start: int, end: int, finish: Finish | None) -> Step:
    """Tokens ``start`` to ``end`` as a step; ``finish`` None takes over the continuation's ending."""
    last = finish is None
    return Step(
        token_ids=continuation.token_ids[start:end],
        text=continuation.text[_text_end(continuation, start) : _text_end(continuation, end)],
        logprobs=continuation.logprobs[start:end],
        top_ids=continuation.top_ids[start:end],
        top_logprobs=continuation.top_logprobs[start:end],
        finish=continuation.finish if last else finish,
        stop=continuation.stop if last else None,
        trims=0 if start else continuation.trims,
    )


def whole(continuation: Continuation) -> Step:
    """A continuation as one step, whatever delimiters stand in it."""
    return _slice(continuation, 0, len(continuation.token_ids), None)


def forced_step(text: str, token_ids: tuple[int, ...]) -> Step:
    """A phrase that is put into the model's mouth: no log-probabilities, so it takes no part in confidence."""
    no_floats = np.zeros(0, dtype=np.float32)
    none = np.zeros((0, 0))
    ids, floats = none.astype(np.int32), none.astype(np.float32)
    return Step(token_ids, text, no_floats, ids, floats, finish=None, forced=True)


def spliced(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Steps as they are read: no end-of-sequence token where more text follows, no part of a stop text."""
    last = len(steps) - 1
    return trimmed(
        [_without_last_token(step) if step.finish is Finish.EOS and i < last else step for i, step in enumerate(steps)]
    )


def open_ended(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Steps ready to be continued: like ``spliced``, the last one's end-of-sequence token gone as well."""
    return tuple(_without_last_token(step) if step.finish is Finish.EOS else step for step in steps)


def _without_last_token(step: Step) -> Step:
    return replace(
        step,
        token_ids=step.token_ids[:-1],
        logprobs=step.logprobs[:-1],
        top_ids=step.top_ids[:-1],
        top_logprobs=step.top_logprobs[:-1],
        finish=None,
    )


def joined(pieces: Sequence[Continuation]) -> Continuation:
    """The pieces of a stream (or a text and its continuation) as one continuation. At least one piece."""
    first, last = pieces[0], pieces[-1]
    if first is last:
        return first
    shifts = np.cumsum([0, *(len(piece.text) for piece in pieces[:-1])])
    moved = [piece.offsets + shift for piece, shift in zip(pieces, shifts, strict=True)]
    return Continuation(
        token_ids=tuple(token for piece in pieces for token in piece.token_ids),
        text="".join(piece.text for piece in pieces),
        offsets=np.concatenate(moved).astype(np.int32),
        logprobs=np.concatenate([piece.logprobs for piece in pieces]),
        top_ids=np.concatenate([piece.top_ids for piece in pieces]),
        top_logprobs=np.concatenate([piece.top_logprobs for piece in pieces]),
        finish=last.finish,
        stop=last.stop,
        cached_tokens=first.cached_tokens,
        trims=first.trims,
    )
