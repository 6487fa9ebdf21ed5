"""Implements ``ports.Engine`` over a fleet of servers: calls of one search stay on one server while it lives."""

from __future__ import annotations

import functools
import itertools
import secrets
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from engine.remote.affinity import current_search
from engine.remote.dialect import PATH, completion, watched_stops, watched_tokens
from engine.remote.fleet import Fleet
from engine.remote.losses import Fault, Lost, garbage
from engine.remote.member import Member
from engine.remote.offers import Offer
from engine.remote.reading import ChoiceReader, Stops
from engine.remote.vocabulary import Vocabulary
from engine.sampling import is_greedy, stop_strings
from engine.tokenizer import HFTokenizer
from engine.transcript import Transcript
from mcts.errors import EngineCallFailed, PromptTooLong
from mcts.ports import Continuation, SampleRequest
from mcts.together import together


class RemoteEngine:
    """A fleet of generating servers. Cancelling a call closes its connection, and vLLM aborts it.

    Args:
        fleet: The servers.
        tokenizer: The model's own.
        eos_ids: Tokens that end a text.
        max_model_len: Longest prompt plus answer in tokens.
    """

    def __init__(self, fleet: Fleet, tokenizer: HFTokenizer, eos_ids: frozenset[int], max_model_len: int) -> None:
        self.fleet, self.tokenizer, self.max_model_len = fleet, tokenizer, max_model_len
        self._eos = eos_ids
        self._numbers = itertools.count()
        self._nameless = uuid.uuid4().hex[:12]

    @functools.cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self.tokenizer)

    async def sample(self, request: SampleRequest) -> Sequence[Continuation]:
        """Draws ``request.n`` continuations, in the order of their seeds. Cancelling the task aborts them.

        Raises:
            PromptTooLong: The prefix leaves no room for a token.
            InvalidRequest: The servers refuse a sampling parameter, or know none such.
            EngineCallFailed: This call failed on several servers.
            EngineDead: No server answers.
        """
        self._check_length(request)
        if request.n == 1 or not (is_greedy(request) or self._one_by_one()):
            return await self._draw(request, request.n)
        seeds = [None if request.seed is None else request.seed + i for i in range(request.n)]
        draws = await together(self._draw(replace(request, seed=seed, n=1), 1) for seed in seeds)
        return [draw[0] for draw in draws]

    async def stream(self, request: SampleRequest) -> AsyncIterator[Continuation]:
        """Draws one continuation piece by piece. Closing the iterator aborts.

        When a server is lost half way another goes on from the last token. An answer that is held to a form cannot be
        taken up in the middle: another server writes it again, by the same seed (one of ours where none is asked for),
        and what differs from what was given is an error.

        Raises:
            PromptTooLong: The prefix leaves no room for a token.
            InvalidRequest: The servers refuse a sampling parameter, or know none such.
            EngineCallFailed: This call failed on several servers.
            EngineDead: No server answers.
        """
        self._check_length(request)
        held = request.sampling.form is not None
        if held and request.seed is None:
            request = replace(request, seed=secrets.randbelow(2**31))
        call = self.fleet.call(self._key(request), 1)
        reader, spent = self._reader(request, native=True), 0
        shown: list[int] = []
        while True:
            member = await call.next()
            if not reader.token_ids:
                reader = self._reader(request, native=_offer(member).native, shown=shown if held else ())
            try:
                with member.carrying(1):
                    async with aclosing(self._resumed(member, request, reader)) as pieces:
                        async for piece in pieces:
                            shown += piece.token_ids
                            yield piece
            except Lost as lost:
                call.lost(member, lost)
                if held:
                    spent += len(reader.token_ids)
                    reader = self._reader(request, native=True)
            else:
                member.well()
                return
            finally:
                request.spent.tokens = spent + len(reader.token_ids) - len(shown)

    async def _resumed(
        self, member: Member, request: SampleRequest, reader: ChoiceReader
    ) -> AsyncGenerator[Continuation]:
        """The rest of a stream, from one server. Nothing is left of what was read before."""
        rest = _rest(request, reader.token_ids)
        offer, cached = _offer(member), 0
        # A server that takes a text up does not see where a stop string began.
        stops = self._stops(request, offer) if rest is request else Stops(tuple(stop_strings(request)))
        if rest.max_tokens < 1:
            raise EngineCallFailed("The engine's stream broke off at its last token.")
        async with aclosing(self._events(member, rest, 1, watched=True)) as events:
            async for event in events:
                cached = _cached(event) or cached
                for choice in _choices(event, 1):
                    reader.add(choice, stops)
                if reader.ending is None and (piece := reader.piece()) is not None:
                    yield piece
                if reader.ending and stops:
                    break
        yield reader.last(cached)

    async def _draw(self, request: SampleRequest, n: int) -> list[Continuation]:
        call = self.fleet.call(self._key(request), n)
        while True:
            member = await call.next()
            readers = [self._reader(request, native=_offer(member).native) for _ in range(n)]
            try:
                with member.carrying(n):
                    drawn = await self._read(member, request, readers)
            except Lost as lost:
                request.spent.tokens += _written(readers)
                call.lost(member, lost)
            except BaseException:
                request.spent.tokens += _written(readers)
                raise
            else:
                member.well()
                return drawn

    async def _read(self, member: Member, request: SampleRequest, readers: list[ChoiceReader]) -> list[Continuation]:
        """All continuations of a call, from one server."""
        stops, cached = self._stops(request, _offer(member)), 0
        async with aclosing(self._events(member, request, len(readers), watched=False)) as events:
            async for event in events:
                cached = _cached(event) or cached
                for choice in _choices(event, len(readers)):
                    readers[choice["index"]].add(choice, stops)
                if stops and all(reader.ending for reader in readers):
                    break
        return [reader.last(cached) for reader in readers]

    def _events(
        self, member: Member, request: SampleRequest, n: int, *, watched: bool
    ) -> AsyncGenerator[dict[str, Any]]:
        offer = _offer(member)
        body = completion(request, offer, self.tokenizer, n, watched_by_reader=watched)
        name = f"{request.search_id or self._nameless}-{next(self._numbers)}"
        return self.fleet.wire.events(member, PATH, body, name)

    def _reader(self, request: SampleRequest, *, native: bool, shown: Sequence[int] = ()) -> ChoiceReader:
        skip_special = request.sampling.skip_special_tokens
        transcript = Transcript(self.tokenizer, request.prefix, skip_special=skip_special)
        return ChoiceReader(request, transcript, self._eos, None if native else self._vocabulary.named, shown)

    def _stops(self, request: SampleRequest, offer: Offer) -> Stops:
        return Stops(watched_stops(request, offer), watched_tokens(request, offer))

    def _one_by_one(self) -> bool:
        """Whether some server draws only one continuation a call."""
        return any(not member.offer.native for member in self.fleet.members.values() if member.offer)

    def _key(self, request: SampleRequest) -> str:
        return request.search_id or current_search() or self._nameless + str(next(self._numbers))

    def _check_length(self, request: SampleRequest) -> None:
        if len(request.prefix) >= self.max_model_len:
            told = f"The prompt has {len(request.prefix)} tokens; this model reads and writes {self.max_model_len}."
            raise PromptTooLong(told)


def _offer(member: Member) -> Offer:
    """What a server can do; known of every one that takes calls."""
    if member.offer is None:
        raise Lost(Fault.GONE, "it was not asked yet")
    return member.offer


def _choices(event: dict[str, Any], n: int) -> list[dict[str, Any]]:
    """The choices of an event, each with an index that was asked for.

    Raises:
        Lost: There is something else in their place.
    """
    choices = event.get("choices", [])
    if not isinstance(choices, list):
        raise garbage("choices that are no list")
    for choice in choices:
        index = choice.get("index") if isinstance(choice, dict) else None
        if not isinstance(index, int) or not 0 <= index < n:
            raise garbage("a choice that nobody asked for")
    return choices


def _cached(event: dict[str, Any]) -> int:
    """Prefix tokens that came from the server's cache, where the event tells (--enable-prompt-tokens-details)."""
    usage = event.get("usage")
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return cached if isinstance(cached, int) else 0


def _written(readers: Sequence[ChoiceReader]) -> int:
    return sum(len(reader.token_ids) for reader in readers)


def _rest(request: SampleRequest, token_ids: Sequence[int]) -> SampleRequest:
    """What is left of a request once some of its tokens are there."""
    if not token_ids:
        return request
    written, sampling = len(token_ids), request.sampling
    return replace(
        request,
        prefix=(*request.prefix, *token_ids),
        max_tokens=request.max_tokens - written,
        sampling=replace(sampling, min_tokens=max(0, sampling.min_tokens - written)),
    )
