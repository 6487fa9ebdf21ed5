"""Events of ``/v1/completions`` as ``Continuation``: one reader per choice. Nonsense comes out as ``Lost``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.remote.losses import Fault, Lost, garbage
from engine.replies import Assembler
from engine.transcript import Transcript, find_stop
from mcts.errors import EngineCallFailed
from mcts.ports import NO_TOKEN, Continuation, SampleRequest

PREFIX = "token_id:"
"""How vLLM writes tokens that stand for themselves (return_tokens_as_token_ids)."""

NEVER = -9999.0
"""What vLLM writes for a log-probability of minus infinity, which JSON lacks."""

OTHER_TEXT = "The engine's stream broke off, and another engine does not write the same again."

TokenIds = Callable[[Sequence[str]], Sequence[int]]
"""Token ids of the texts of single tokens, for servers that give no ids."""


@dataclass(slots=True)
class Rows:
    """Tokens and their log-probabilities, laid out as vLLM does: every row has all its columns."""

    start_indices: list[int]
    token_ids: list[int]
    logprobs: list[float]
    ranks: list[int | None]


@dataclass(frozen=True, slots=True)
class Stops:
    """What ends a text here rather than at the server."""

    strings: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.strings or self.tokens)


class ChoiceReader:
    """One continuation as it comes in.

    Args:
        request: What was asked.
        transcript: Empty, after the request's prefix.
        eos: Tokens that end a text.
        named: Token ids of token texts; None where the server gives ids, and its end-of-sequence token with them.
        shown: Tokens that have been shown of an earlier try; this one must write them again, and does not give them.
    """

    def __init__(
        self,
        request: SampleRequest,
        transcript: Transcript,
        eos: frozenset[int],
        named: TokenIds | None = None,
        shown: Sequence[int] = (),
    ) -> None:
        self._request, self._transcript, self._eos, self._named = request, transcript, eos, named
        self._shown = list(shown)
        self._assembler = Assembler(request, transcript, eos)
        self.ending: tuple[str, object] | None = None

    @property
    def token_ids(self) -> list[int]:
        """All tokens so far."""
        return self._transcript.token_ids

    def add(self, choice: Mapping[str, Any], stops: Stops) -> None:
        """Takes an event's choice in; after the ending nothing more is taken.

        Raises:
            Lost: It makes no sense, or the server gave the continuation up.
        """
        if self.ending is not None:
            return
        try:
            ids, chosen, tops = _tokens(choice, self._named)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise garbage("a choice that makes no sense") from error
        if len(self.token_ids) + len(ids) > self._request.max_tokens:
            raise garbage("more tokens than were allowed")
        if stops:
            self._add_watching(ids, chosen, tops, stops)
        elif ids:
            self._assembler.add(ids, _rows(ids, chosen, tops, self._request.top_logprobs))
        reason = choice.get("finish_reason")
        if reason is not None and self.ending is None:
            self._finish(str(reason), choice.get("stop_reason"))

    def piece(self) -> Continuation | None:
        """The tokens that can be shown already, or None.

        Raises:
            EngineCallFailed: They are others than have been shown.
        """
        return self._assembler.piece(0) if self._caught_up() else None

    def last(self, cached_tokens: int) -> Continuation:
        """Everything not yet given, with why it ended.

        Raises:
            Lost: It has not ended.
            EngineCallFailed: It is another one than has been shown.
        """
        if self.ending is None:
            raise garbage("a continuation without an end")
        if not self._caught_up():
            raise EngineCallFailed(OTHER_TEXT)
        reason, stop = self.ending
        return self._assembler.last(reason, stop, cached_tokens)

    def _caught_up(self) -> bool:
        """Whether all that has been shown is here again.

        Raises:
            EngineCallFailed: Something else is.
        """
        shown = self._shown
        if not shown:
            return True
        written = self.token_ids[: len(shown)]
        if written != shown[: len(written)]:
            raise EngineCallFailed(OTHER_TEXT)
        if len(written) < len(shown):
            return False
        self._assembler.pass_over(len(shown))
        self._shown = []
        return True

    def _add_watching(self, ids: list[int], chosen: list[float], tops: list[Mapping[int, float]], stops: Stops) -> None:
        """Token by token, up to the one that ends the text."""
        for place, token in enumerate(ids):
            row = slice(place, place + 1)
            self._assembler.add(ids[row], _rows(ids[row], chosen[row], tops[row], self._request.top_logprobs))
            if token in stops.tokens:
                self.ending = ("stop", token)
            elif found := find_stop(self._transcript, stops.strings, len(self.token_ids) - 1):
                self.ending = ("stop", found[0])
            if self.ending:
                return

    def _finish(self, reason: str, stop: object) -> None:
        if reason not in {"stop", "length"}:
            raise Lost(Fault.SHAKY, f"it gave up a continuation: {reason[:40]}")
        if not isinstance(stop, int | str | None):
            raise garbage("a stop reason that is none")
        if self._named is not None and reason == "stop":
            stop = None  # no stop string was sent, so the model ended the text by itself
            self._add_end()
        self.ending = (reason, stop)

    def _add_end(self) -> None:
        """Adds the end-of-sequence token, which servers other than vLLM keep to themselves, as if certain."""
        written = self.token_ids[-1:]
        if not self._eos or (written and written[0] in self._eos) or len(self.token_ids) >= self._request.max_tokens:
            return
        end = min(self._eos)
        self._assembler.add([end], _rows([end], [0.0], [{end: 0.0}], self._request.top_logprobs))


def _tokens(
    choice: Mapping[str, Any], named: TokenIds | None
) -> tuple[list[int], list[float], list[Mapping[int, float]]]:
    """Token ids, their log-probabilities and, for each, those of its alternatives (the token among them)."""
    told = choice.get("logprobs")
    if told is None:
        if choice.get("token_ids") or choice.get("text"):
            raise garbage("text without log-probabilities")
        return [], [], []
    texts = told["tokens"]
    ids = [int(token) for token in choice.get("token_ids") or _ids(texts, named)]
    chosen = [_logprob(value) for value in told["token_logprobs"]]
    tops = [_top(entry, named) for entry in told.get("top_logprobs") or [None] * len(ids)]
    if not len(ids) == len(chosen) == len(tops):
        raise garbage("tokens that do not match their log-probabilities")
    return ids, chosen, tops


def _ids(texts: Sequence[str], named: TokenIds | None) -> Sequence[int]:
    if all(text.startswith(PREFIX) for text in texts):
        return [int(text.removeprefix(PREFIX)) for text in texts]
    if named is None:
        raise garbage("tokens without their ids")
    return named(texts)


def _top(entry: Mapping[str, float] | None, named: TokenIds | None) -> Mapping[int, float]:
    if not entry:
        return {}
    return dict(zip(_ids(list(entry), named), map(_logprob, entry.values()), strict=True))


def _logprob(value: float) -> float:
    number = float(value)
    if math.isnan(number):
        raise garbage("a log-probability that is no number")
    return -math.inf if number <= NEVER else number


def _rows(ids: list[int], chosen: list[float], tops: list[Mapping[int, float]], width: int) -> Rows:
    """Each row the chosen token and then the ``width`` likeliest, best first, padded.

    vLLM lists the chosen token first and then the likeliest, the chosen one not again: where it is one too many it is
    not among them.
    """
    flat_ids: list[int] = []
    flat: list[float] = []
    for token, logprob, top in zip(ids, chosen, tops, strict=True):
        known = list(top.items())
        if len(known) > width:
            known = [entry for entry in known if entry[0] != token][:width] if width else []
        known.sort(key=lambda entry: -entry[1])
        pad = width - len(known)
        flat_ids += [token, *(entry[0] for entry in known), *[NO_TOKEN] * pad]
        flat += [logprob, *(entry[1] for entry in known), *[-math.inf] * pad]
    return Rows([row * (1 + width) for row in range(len(ids))], flat_ids, flat, [None] * len(flat_ids))
