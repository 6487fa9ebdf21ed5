"""A streamed reply: progress while the search thinks, then the answer.

Order on the wire: role · progress (reasoning, or events) · content · finish · usage · ``[DONE]``. Comments keep the
connection open in silences. Reasoning never follows content: a search that commits its answer step by step falls silent
with its first step, and only events go on beside the content. The search ends when the client goes away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mcts.errors import EspalierError
from mcts.events import AnswerText, Event
from mcts.result import Candidate, SearchResult
from server.chats import Assignment
from server.chunks import DONE, KEEP_ALIVE, Chunks, data
from server.errors import error_body, error_response
from server.interruption import ClientGone, disconnected, interrupted_by
from server.logprobs import step_logprobs
from server.progress import ProgressLines, event_fields
from server.replies import fingerprint, finish_reason, summary, usage
from server.runtime import Runtime
from server.searches import run_search

HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",  # nginx would hold back progress until its buffer is full
}

News = Event | SearchResult | Exception
Write = Callable[[bytes], Awaitable[None]]


class SearchStream(Response):
    """An ASGI reply that runs a search and tells it as it goes."""

    def __init__(self, assignment: Assignment, runtime: Runtime, *, include_usage: bool, logprobs: bool) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]  # of the empty body that Response assumed
        self._assignment, self._runtime = assignment, runtime
        self._include_usage, self._logprobs = include_usage, logprobs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends everything, or stops when the client goes away."""
        try:
            await interrupted_by(self._admitted(scope, receive, send), disconnected(receive), ClientGone())
        except ClientGone:
            return  # nobody is left to tell; the search was cancelled and counted

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Waits for a place before the first byte, so that a full server can still answer 429."""
        try:
            async with self._runtime.admission.place():
                await self._tell(send)
        except EspalierError as error:
            await error_response(error)(scope, receive, send)

    async def _tell(self, send: Send) -> None:
        async def write(piece: bytes, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": piece, "more_body": more})

        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        news: asyncio.Queue[News] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._search(news), name=self._assignment.search_id)
            await _Telling(self._assignment, self._runtime, self._logprobs, self._include_usage).tell(news, write)
        await write(b"", more=False)

    async def _search(self, news: asyncio.Queue[News]) -> None:
        try:
            news.put_nowait(await run_search(self._assignment, self._runtime, news.put_nowait))
        except Exception as error:  # noqa: BLE001 - told to the client as an error event; run_search has logged it
            news.put_nowait(error)


class _Telling:
    """What has been told so far, and what to tell next."""

    def __init__(self, assignment: Assignment, runtime: Runtime, logprobs: bool, include_usage: bool) -> None:
        self._assignment, self._logprobs, self._include_usage = assignment, logprobs, include_usage
        self._keep_alive = runtime.settings.keep_alive_seconds
        plan = assignment.plan
        self._chunks = Chunks(assignment.id, int(time.time()), assignment.model, fingerprint(runtime.settings))
        self._progress = plan.progress
        total = getattr(plan.options, "samples", None) or plan.budget.simulations
        self._lines = ProgressLines(plan.strategy, total)
        self._told = 0  # characters of the first answer that are already out

    async def tell(self, news: asyncio.Queue[News], write: Write) -> None:
        """Writes until the search has ended."""
        await write(self._chunks.role(0))
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
                await write(DONE)
                return

    def _pieces(self, item: News) -> Iterator[bytes]:
        if isinstance(item, SearchResult):
            yield from self._answers(item)
        elif isinstance(item, Exception):
            yield data(error_body(item))
        elif isinstance(item, AnswerText) and not self._logprobs:
            self._told += len(item.text)
            yield self._chunks.content(0, item.text)
        elif piece := self._news(item):
            yield piece

    def _news(self, event: Event) -> bytes | None:
        if self._progress == "events":
            return self._chunks.event(event_fields(event))  # beside an empty delta: not in the way of content
        line = self._lines.line(event)
        return self._chunks.progress(line) if line and self._progress and not self._told else None

    def _answers(self, result: SearchResult) -> Iterator[bytes]:
        last = len(result.winners) - 1
        for index, winner in enumerate(result.winners):
            if index:
                yield self._chunks.role(index)
            yield from self._answer(index, winner, 0 if index else self._told)
            told = summary(self._assignment, result) if index == last else None
            yield self._chunks.finish(index, finish_reason(winner), told)
        if self._include_usage:
            yield self._chunks.usage(usage(self._assignment, result))

    def _answer(self, index: int, winner: Candidate, told: int) -> Iterator[bytes]:
        """The answer step by step, without what was told as it was written."""
        for step in winner.path.steps:
            text, told = step.text[told:], max(0, told - len(step.text))
            logprobs = None
            if self._logprobs:
                logprobs = step_logprobs(step, self._assignment.backend.tokenizer, self._assignment.task.top_logprobs)
            if text or (logprobs and logprobs.content):
                yield self._chunks.content(index, text, logprobs)
