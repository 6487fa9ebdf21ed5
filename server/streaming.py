"""A streamed reply: progress while the search thinks, then the answer.

Order on the wire: role · progress (reasoning, or events) · content · finish · usage · ``[DONE]``. Comments keep the
connection open in silences. Reasoning never follows content: a search that commits its answer step by step falls silent
with its first step, and only events go on beside the content. The search ends when the client goes away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mcts.errors import EspalierError
from mcts.events import AnswerText, Event
from mcts.result import Candidate, SearchResult
from server.assignments import Assignment
from server.chunks import DONE, KEEP_ALIVE, Chunks, data
from server.errors import error_body, error_response, kind_of
from server.interruption import ClientGone, disconnected, interrupted_by
from server.logprobs import step_logprobs, tokens_from
from server.middleware import count_as, key_of
from server.progress import ProgressLines, event_fields
from server.replies import Ended, fingerprint, finish_reason, path_logprobs, summary, total_usage
from server.runtime import Runtime
from server.schemas.reply import Logprobs
from server.searches import Place, placed, run_search
from server.speaker import Speaker
from server.thoughts import ThoughtSplitter, split, splitter_for
from server.written import answer_text

HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",  # nginx would hold back progress until its buffer is full
}

News = Event | SearchResult | Exception


class Write(Protocol):
    """Sends one piece of the body."""

    def __call__(self, piece: bytes, *, more: bool = True) -> Awaitable[None]:
        """Sends it; ``more`` is False for the last one."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a stream carries and in which form.

    Attributes:
        chunks: Makes the pieces.
        include_usage: Whether the usage comes at the end.
        logprobs: Whether answers carry log-probabilities.
        echo: Whether each answer begins with its prompt.
        stride: How far the indices of one prompt's answers lie from the next one's.
        splits: Whether a thought is told apart from the answer.
    """

    chunks: type[Chunks]
    include_usage: bool
    logprobs: bool
    echo: bool = False
    stride: int = 1
    splits: bool = False


class SearchStream(Response):
    """An ASGI reply that runs searches, one after another, and tells them as they go."""

    def __init__(self, assignments: Sequence[Assignment], runtime: Runtime, shape: Shape) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]  # of the empty body that Response assumed
        self._assignments, self._runtime, self._shape = assignments, runtime, shape

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends everything, or stops when the client goes away."""
        try:
            await interrupted_by(self._admitted(scope, receive, send), disconnected(receive), ClientGone())
        except ClientGone:
            return  # nobody is left to tell; the search was cancelled and counted

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Waits for a place before the first byte, so that a full server can still answer 429."""
        try:
            cost = sum(each.cost for each in self._assignments)
            async with placed(self._runtime, cost, key_of(scope)) as place:
                failure = await self._tell(send, place)
            if failure:
                count_as(scope, kind_of(failure).status)
        except EspalierError as error:
            await error_response(error)(scope, receive, send)

    async def _tell(self, send: Send, held: Place) -> Exception | None:
        """Tells everything; what it broke off with, if it did."""
        failure: Exception | None = None

        async def write(piece: bytes, *, more: bool = True) -> None:
            if piece or not more:  # some shapes have nothing to say of some things
                await send({"type": "http.response.body", "body": piece, "more_body": more})

        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        first, ended = self._assignments[0], list[Ended]()
        chunks = self._shape.chunks(first.id, int(time.time()), first.model, fingerprint(self._runtime.settings))
        for place, assignment in enumerate(self._assignments):
            outcome = await self._tell_one(assignment, chunks, place * self._shape.stride, write, held)
            if isinstance(outcome, Exception):
                failure = outcome
                await write(data(error_body(outcome)))
                break
            ended.append((assignment, outcome))
        if self._shape.include_usage and len(ended) == len(self._assignments):
            await write(chunks.usage(total_usage(ended)))
        await write(DONE)
        await write(b"", more=False)
        return failure

    async def _tell_one(
        self, assignment: Assignment, chunks: Chunks, index: int, write: Write, held: Place
    ) -> SearchResult | Exception:
        """Tells one search to its end; what it ended with."""
        news: asyncio.Queue[News] = asyncio.Queue()
        telling = _Telling(assignment, self._runtime, self._shape, chunks, index)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._search(assignment, news, held), name=assignment.search_id)
            return await telling.tell(news, write)

    async def _search(self, assignment: Assignment, news: asyncio.Queue[News], held: Place) -> None:
        try:
            news.put_nowait(await run_search(assignment, self._runtime, held, news.put_nowait))
        except Exception as error:  # noqa: BLE001 - told to the client as an error event; run_search has logged it
            news.put_nowait(error)


class _Telling:
    """What has been told so far of one search, and what to tell next."""

    def __init__(self, assignment: Assignment, runtime: Runtime, shape: Shape, chunks: Chunks, index: int) -> None:
        self._assignment, self._shape, self._chunks, self._index = assignment, shape, chunks, index
        self._keep_alive = runtime.settings.keep_alive_seconds
        plan = assignment.plan
        self._progress = plan.progress
        total = getattr(plan.options, "samples", None) or plan.budget.simulations
        self._lines = ProgressLines(plan.strategy, total)
        self._told = 0  # characters of the first answer that have been taken while it was written
        self._speaker = self._speaker_of(index)  # of the first answer

    async def tell(self, news: asyncio.Queue[News], write: Write) -> SearchResult | Exception:
        """Writes until the search has ended, and gives its result or its failure."""
        for piece in self._opening(self._index):
            await write(piece)
        while True:
            try:
                async with asyncio.timeout(self._keep_alive):
                    item = await news.get()
            except TimeoutError:
                await write(KEEP_ALIVE)
                continue
            for piece in self._pieces(item):
                await write(piece)
            if isinstance(item, SearchResult | Exception):
                return item

    def _opening(self, index: int) -> Iterator[bytes]:
        yield self._chunks.role(index)
        if self._shape.echo:
            yield self._chunks.content(index, self._assignment.task.prompt.text)

    def _pieces(self, item: News) -> Iterator[bytes]:
        if isinstance(item, SearchResult):
            yield from self._answers(item)
        elif isinstance(item, Exception):
            return  # told by whoever tells the whole stream
        elif isinstance(item, AnswerText) and not self._shape.logprobs:
            self._told += len(item.text)
            yield from self._speaker.feed(item.text)
        elif piece := self._news(item):
            yield piece

    def _news(self, event: Event) -> bytes | None:
        if self._progress == "events":
            return self._chunks.event(event_fields(event))  # beside an empty delta: not in the way of content
        line = self._lines.line(event)
        silent = not (line and self._progress) or self._told
        return None if silent else self._chunks.reasoning(self._index, line or "")

    def _answers(self, result: SearchResult) -> Iterator[bytes]:
        last = len(result.winners) - 1
        for place, winner in enumerate(result.winners):
            index = self._index + place
            if place:
                yield from self._opening(index)
            speaker = self._speaker_of(index) if place else self._speaker
            yield from self._answer(index, winner, speaker, 0 if place else self._told)
            told = summary(self._assignment, result) if place == last else None
            yield self._chunks.finish(index, "tool_calls" if speaker.called else finish_reason(winner), told)

    def _answer(self, index: int, winner: Candidate, speaker: Speaker, told: int) -> Iterator[bytes]:
        """The answer step by step, without what was told as it was written."""
        if self._shape.logprobs and self._assignment.tooling:
            logprobs = path_logprobs(self._assignment, winner.path)
            yield from speaker.whole(answer_text(winner), logprobs)
        elif self._shape.logprobs:
            yield from self._weighed(index, winner)
        else:
            for step in winner.path.steps:
                text, told = step.text[told:], max(0, told - len(step.text))
                yield from speaker.feed(text)
            yield from speaker.end()

    def _weighed(self, index: int, winner: Candidate) -> Iterator[bytes]:
        """The answer with its log-probabilities: the thought first, which has none, then the answer step by step."""
        start, splitter = 0, self._splitter()
        if splitter:
            told = split(answer_text(winner), splitter)
            start = told.answer_from
            if told.thought:
                yield self._chunks.reasoning(index, told.thought)
            left = len(told.answer)
        else:
            left = len(answer_text(winner))
        for step in winner.path.steps:
            text, skipped = step.text[start:][:left], start
            start, left = max(0, start - len(step.text)), left - len(text)
            logprobs = step_logprobs(step, self._assignment.backend.tokenizer, self._assignment.task.top_logprobs)
            logprobs = Logprobs(content=tokens_from(logprobs.content, skipped))
            if text or logprobs.content:
                yield self._chunks.content(index, text, logprobs)

    def _splitter(self) -> ThoughtSplitter | None:
        return splitter_for(self._assignment) if self._shape.splits else None

    def _speaker_of(self, index: int) -> Speaker:
        return Speaker(self._chunks, index, self._splitter(), self._assignment.tooling)
