"""The engine as one search uses it: every call metered, bounded, checked, repeated once and reported.

Nothing else in a search talks to an engine; ``mcts.scoring`` talks to the reward model.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace

from mcts.account import ATTEMPTS
from mcts.budget import Clock, Meter
from mcts.checks import check_continuation, check_whole
from mcts.errors import EngineCallFailed
from mcts.events import EngineCalled, Observer
from mcts.grants import Grant, News, granted
from mcts.ports import Continuation, Engine, SampleRequest, Sampling
from mcts.result import Task
from mcts.reward_ports import AnyReward
from mcts.seeds import derive_seed
from mcts.spent import Spent
from mcts.steps import joined


@dataclass(slots=True, eq=False)
class Calls:
    """A search's calls.

    ``reward`` is None for strategies that score nothing. ``short_of_tokens`` tells whether the search's token budget,
    not the path's own limit, kept a call from being made or ended its text.
    """

    task: Task
    engine: Engine
    reward: AnyReward | None
    meter: Meter
    observe: Observer
    clock: Clock
    room: News = field(default_factory=News)
    short_of_tokens: bool = False

    @property
    def top_logprobs(self) -> int:
        """Alternatives per token that the client or the reward needs, whichever is more."""
        return max(self.task.top_logprobs, self.reward.top_logprobs if self.reward else 0)

    async def sample(
        self,
        prefix: tuple[int, ...],
        purpose: str,
        *,
        n: int = 1,
        max_tokens: int | None = None,
        delimiters: tuple[str, ...] = (),
        top_logprobs: int = 0,
        allowed: tuple[int, ...] = (),
        greedy: bool = False,
    ) -> tuple[Continuation, ...]:
        """Draws continuations of a prefix, within the path's token limit and the search's budget.

        Args:
            prefix: Token ids of prompt and path.
            purpose: What the call is for; with the prefix it determines the seed.
            n: How many continuations are wanted.
            max_tokens: Most tokens of each; None is as many as the path has room for.
            delimiters: Strings that end a step.
            top_logprobs: Alternatives per token that the search itself wants to see.
            allowed: The only tokens that may be drawn; empty allows all.
            greedy: Whether the likeliest tokens are taken, whatever temperature the client wants for its answer.

        Returns:
            ``n`` continuations; fewer when the budget has room for fewer, none when it has room for none.

        Raises:
            EngineCallFailed: The call failed, and so did its repetition.
            EngineDead: The engine is gone.
        """
        wanted = self.path_room(prefix) if max_tokens is None else min(max_tokens, self.path_room(prefix))
        sampling = self._sampling(prefix, allowed)
        request = SampleRequest(
            prefix=prefix,
            delimiters=delimiters,
            sampling=replace(sampling, temperature=0.0) if greedy else sampling,
            top_logprobs=max(top_logprobs, self.top_logprobs),
            search_id=self.task.search_id,
        )
        return await self._repeated(request, purpose, n, wanted)

    async def ask(
        self, prefix: tuple[int, ...], purpose: str, max_tokens: int, sampling: Sampling, top_logprobs: int = 0
    ) -> Continuation | None:
        """Draws one turn of another chat than the prompt's: the path's token limit does not apply, the budget does.

        Args:
            prefix: Token ids of that chat.
            purpose: As in ``sample``.
            max_tokens: Most tokens of the turn, at least 1, at most ``turn_room``.
            sampling: How its tokens are drawn.
            top_logprobs: Alternatives per token.

        Returns:
            The turn; None when the budget has no room for it.

        Raises:
            EngineCallFailed: The call failed, and so did its repetition.
            EngineDead: The engine is gone.
        """
        request = SampleRequest(
            prefix=prefix, sampling=sampling, top_logprobs=top_logprobs, search_id=self.task.search_id
        )
        drawn = await self._repeated(request, purpose, 1, max_tokens)
        return drawn[0] if drawn else None

    async def _repeated(self, request: SampleRequest, purpose: str, n: int, wanted: int) -> tuple[Continuation, ...]:
        """Makes a call as soon as the budget grants it room, and once more if it fails."""
        for attempt in range(ATTEMPTS):
            grant = await self.granted(n, wanted)
            if grant is None:
                return ()
            seed = derive_seed(self.task.seed, purpose, request.prefix, attempt)
            try:
                drawn = await self.draw(replace(request, n=grant.n, max_tokens=grant.max_tokens, seed=seed))
            except EngineCallFailed:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                self.short_of_tokens |= grant.cut(drawn, wanted)
                return drawn
        raise AssertionError("unreachable")  # the last attempt returns or raises

    async def stream(self, prefix: tuple[int, ...], purpose: str) -> AsyncGenerator[Continuation]:
        """Draws one continuation piece by piece. A call that fails before its first piece is repeated once.

        Yields nothing when the budget has no room.

        Raises:
            EngineCallFailed: The call failed; text that has been yielded stays valid.
            EngineDead: The engine is gone.
        """
        begun = False
        for attempt in range(ATTEMPTS):
            try:
                async with aclosing(self._streamed(prefix, purpose, attempt)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
            except EngineCallFailed:
                if begun or attempt == ATTEMPTS - 1:
                    raise
            else:
                return

    async def watched(self, prefix: tuple[int, ...], purpose: str) -> Continuation | None:
        """Draws one continuation, as ``sample`` would, but knows at any time how far it is.

        A call that is cancelled half way thus counts what it had generated, which ``sample`` cannot tell. For calls
        that are likely to be cancelled; the engine has more to report, token by token.

        Returns:
            The continuation; None when the budget has no room.

        Raises:
            EngineCallFailed: The call failed, and so did its repetition.
            EngineDead: The engine is gone.
        """
        for attempt in range(ATTEMPTS):
            try:
                async with aclosing(self._streamed(prefix, purpose, attempt)) as stream:
                    pieces = [piece async for piece in stream]
                return joined(pieces) if pieces else None
            except EngineCallFailed:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")  # the last attempt returns or raises

    async def granted(self, n: int, max_tokens: int) -> Grant | None:
        """Reserves room for a call's worst case; None when there is none. See ``mcts.grants``."""
        grant = await granted(self.meter, self.room, n, max_tokens)
        self.short_of_tokens |= grant is None and max_tokens > 0
        return grant

    def path_room(self, prefix: tuple[int, ...]) -> int:
        """Tokens that a path may still grow by."""
        return self.task.max_tokens - (len(prefix) - len(self.task.prompt.token_ids))

    def turn_room(self, prefix: tuple[int, ...], wanted: int) -> int:
        """How many of the wanted tokens the model's context holds after a prefix; below 1 there is no room."""
        return wanted if self.task.context is None else min(wanted, self.task.context - len(prefix))

    def _sampling(self, prefix: tuple[int, ...], allowed: tuple[int, ...] = ()) -> Sampling:
        """How a call draws: the client's least number of tokens is that of the whole path, not of each call."""
        sampling, written = self.task.sampling, self.task.max_tokens - self.path_room(prefix)
        if allowed:
            return replace(sampling, allowed_token_ids=allowed, min_tokens=0)
        return replace(sampling, min_tokens=max(0, sampling.min_tokens - written)) if sampling.min_tokens else sampling

    async def draw(self, request: SampleRequest) -> tuple[Continuation, ...]:
        """One try of a call for which room is reserved; settles and reports it.

        Raises:
            EngineCallFailed: The call failed, or its reply cannot be used.
            EngineDead: The engine is gone.
        """
        request = replace(request, spent=Spent())  # of this try alone
        with self._engine_call(request) as received:
            received.extend(await self.engine.sample(request))
            if len(received) != request.n:
                raise EngineCallFailed(f"The engine gave {len(received)} continuations instead of {request.n}.")
            for continuation in received:
                check_continuation(continuation, request)
                check_whole(continuation)
            return tuple(received)

    async def _streamed(self, prefix: tuple[int, ...], purpose: str, attempt: int) -> AsyncGenerator[Continuation]:
        """One try of a stream. Yields nothing when the budget has no room."""
        wanted = self.path_room(prefix)
        grant = await self.granted(1, wanted)
        if grant is None:
            return
        request = SampleRequest(
            prefix=prefix,
            max_tokens=grant.max_tokens,
            sampling=self._sampling(prefix),
            seed=derive_seed(self.task.seed, purpose, prefix, attempt),
            top_logprobs=self.top_logprobs,
            search_id=self.task.search_id,
        )
        async with aclosing(self._stream(request)) as pieces:
            async for piece in pieces:
                self.short_of_tokens |= grant.cut([piece], wanted)
                yield piece

    async def _stream(self, request: SampleRequest) -> AsyncGenerator[Continuation]:
        with self._engine_call(request) as received:
            pieces, cached = self.engine.stream(request), 0
            try:
                async for piece in pieces:
                    news = max(0, piece.cached_tokens - cached)  # pieces repeat it, or only the last one tells
                    cached += news
                    received.append(replace(piece, cached_tokens=news))
                    check_continuation(piece, request)
                    yield piece
            finally:
                if isinstance(pieces, AsyncGenerator):
                    await pieces.aclose()
            if not received or received[-1].finish is None:
                raise EngineCallFailed("The engine's stream broke off.")

    @contextmanager
    def _engine_call(self, request: SampleRequest) -> Iterator[list[Continuation]]:
        """Settles and reports a call whatever becomes of it. What was received is put into the list it yields."""
        began, failed = self.clock(), None
        received: list[Continuation] = []
        try:
            yield received
        except BaseException as error:
            failed = type(error).__name__
            raise
        finally:
            tokens = sum(len(piece.token_ids) for piece in received) + request.spent.tokens
            cached = sum(piece.cached_tokens for piece in received)
            self.meter.settle(request.n, request.max_tokens, tokens, cached)
            now = self.clock()
            since = now - self.meter.started
            prefixes = len(request.prefix) * min(request.n, len(received))
            self.observe(EngineCalled(request.n, tokens, cached, now - began, failed, since, prefixes))
            self.room.tell()
