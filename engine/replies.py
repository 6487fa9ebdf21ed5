"""vLLM's outputs as ``Continuation``: why it ended, what of the text is visible, log-probabilities as arrays."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from engine.sampling import stop_strings
from engine.transcript import Transcript, find_stop
from mcts.errors import EngineCallFailed
from mcts.ports import NO_TOKEN, Continuation, Finish, FloatArray, IntArray, SampleRequest
from mcts.stops import could_begin


class FlatLogprobs(Protocol):
    """vLLM's flat log-probabilities: for each position the chosen token and then the likeliest, best first."""

    start_indices: list[int]
    token_ids: list[int]
    logprobs: list[float]
    ranks: list[int | None]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a continuation ended and how much of its text the client sees."""

    finish: Finish
    stop: str | int | None
    visible: int


def ending(request: SampleRequest, transcript: Transcript, reason: str, stop: object, eos: frozenset[int]) -> Ending:
    """Reads vLLM's finish reason.

    Raises:
        EngineCallFailed: The engine gave the continuation up.
    """
    whole, sampling = len(transcript.text), request.sampling
    before_last = transcript.end(max(0, len(transcript.token_ids) - 1))
    if reason == "length":
        return Ending(Finish.LENGTH, None, whole)
    if reason != "stop":
        raise EngineCallFailed(f"The engine gave up a continuation: {reason}.")
    if isinstance(stop, str):
        return _text_ending(request, transcript, stop)
    if isinstance(stop, int) and stop in sampling.stop_token_ids:
        return Ending(Finish.STOP, stop, whole if sampling.include_stop else before_last)
    if stop is None or stop in eos:  # vLLM names only the further end-of-sequence tokens of a generation config
        return Ending(Finish.EOS, None, before_last)
    return Ending(Finish.STOP, int(str(stop)), before_last)


def _text_ending(request: SampleRequest, transcript: Transcript, stop: str) -> Ending:
    """A delimiter stays whole, with all of its last token; a client's stop string is cut with all after it.

    The client's strings are looked for even when vLLM saw a delimiter first: both may end in the same token.
    """
    last = max(0, len(transcript.token_ids) - 1)
    found = find_stop(transcript, request.sampling.stop, last)
    if found is not None:
        string, at = found
        return Ending(Finish.STOP, string, at + len(string) if request.sampling.include_stop else at)
    if stop in request.delimiters:
        return Ending(Finish.DELIMITER, None, len(transcript.text))
    # vLLM decodes on its own; should its text ever differ from ours, its word stands and nothing is cut.
    return Ending(Finish.STOP, stop, len(transcript.text))


class Assembler:
    """One continuation as it grows: takes vLLM's pieces in, gives ``Continuation`` out."""

    def __init__(self, request: SampleRequest, transcript: Transcript, eos: frozenset[int]) -> None:
        self._request = request
        self._transcript = transcript
        self._eos = eos
        self._tables: list[tuple[IntArray, FloatArray]] = []  # of the tokens not yet given
        self._given = 0
        self._held_stops = request.sampling.stop if stop_strings(request) else ()

    def add(self, token_ids: Sequence[int], logprobs: FlatLogprobs) -> None:
        """Takes new tokens in.

        Raises:
            EngineCallFailed: A log-probability is not a number.
        """
        self._transcript.read(token_ids)
        self._tables.append(_tables(logprobs, len(token_ids), self._request.top_logprobs))

    def pass_over(self, count: int) -> None:
        """Takes the first ``count`` tokens for given, which are all here: another assembler gave the same ones."""
        ids, values = (np.concatenate(parts) for parts in zip(*self._tables, strict=True))
        self._tables = [(ids[count - self._given :], values[count - self._given :])]
        self._given = count

    def piece(self, cached_tokens: int) -> Continuation | None:
        """The tokens that can be shown already, or None.

        Tokens whose text might be the beginning of a client's stop string wait for what follows.
        """
        text = self._transcript.text
        safe = len(text) - could_begin(text, self._held_stops)
        count = len(self._transcript.token_ids)
        while count > self._given and self._transcript.end(count) > safe:
            count -= 1
        return self._cut(count, safe, None, cached_tokens) if count > self._given else None

    def last(self, reason: str, stop: object, cached_tokens: int) -> Continuation:
        """Everything not yet given, with why it ended."""
        end = ending(self._request, self._transcript, reason, stop, self._eos)
        return self._cut(len(self._transcript.token_ids), end.visible, end, cached_tokens)

    def _cut(self, count: int, visible: int, end: Ending | None, cached_tokens: int) -> Continuation:
        first, self._given = self._given, count
        begin = min(self._transcript.end(first), visible)
        ids, values = (np.concatenate(parts) for parts in zip(*self._tables, strict=True))
        self._tables = [(ids[count - first :], values[count - first :])]
        ends = np.minimum(np.asarray(self._transcript.ends[first:count], dtype=np.int32), visible)
        width = self._request.top_logprobs
        return Continuation(
            token_ids=tuple(self._transcript.token_ids[first:count]),
            text=self._transcript.text[begin:visible] if end else self._transcript.text[begin : int(ends[-1])],
            offsets=ends - begin,
            logprobs=values[: count - first, 0],
            top_ids=ids[: count - first, 1 : width + 1],
            top_logprobs=values[: count - first, 1 : width + 1],
            finish=end.finish if end else None,
            stop=end.stop if end else None,
            cached_tokens=cached_tokens,
        )


def _tables(logprobs: FlatLogprobs, count: int, top: int) -> tuple[IntArray, FloatArray]:
    """Ids and log-probabilities, shape ``[T, 1 + top]``: the chosen token's in column 0, then the likeliest.

    vLLM joins pieces that wait for a slow reader by way of dicts, in which a chosen token that is among the likeliest
    stands only once: such a row is one short, and gets the chosen token at its rank again.
    """
    starts = [*logprobs.start_indices, len(logprobs.token_ids)][: count + 1]
    ids = np.full((count, 1 + top), NO_TOKEN, dtype=np.int32)
    values = np.full((count, 1 + top), -np.inf, dtype=np.float32)
    for row, (start, after) in enumerate(itertools.pairwise(starts)):
        found, worth = list(logprobs.token_ids[start:after]), list(logprobs.logprobs[start:after])
        if len(found) == top:
            rank = logprobs.ranks[start] or 1
            found.insert(rank, found[0])
            worth.insert(rank, worth[0])
        ids[row, : len(found)], values[row, : len(worth)] = found[: 1 + top], worth[: 1 + top]
    if np.isnan(values).any():
        raise EngineCallFailed("The engine reported log-probabilities that are not numbers.")
    return ids, values


def read_output(
    request: SampleRequest, transcript: Transcript, output: Any, cached_tokens: int, eos: frozenset[int]
) -> Continuation:
    """One finished ``CompletionOutput`` as a ``Continuation``."""
    assembler = Assembler(request, transcript, eos)
    assembler.add(output.token_ids, output.logprobs)
    return assembler.last(output.finish_reason, output.stop_reason, cached_tokens)
