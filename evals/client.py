"""Asks a running server the questions of one run, many at a time, and keeps what it said and what it cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from evals.recast import recast
from evals.runs import Run
from mcts.ports import AnswerReader


@dataclass(frozen=True, slots=True)
class Reply:
    """What one question got.

    Args:
        question: Its index.
        text: The answer.
        tokens: All generated tokens.
        engine_calls: Calls to the generation engine.
        seconds: As the client saw them.
        stop_reason: Why the search ended.
        vote: The vote that the search itself took; empty where it took none.
        recast: The winning text under each vote that the run asks for.
        error: What went wrong, None when well. A reply of another search than was asked for is an error too.
    """

    question: int
    text: str
    tokens: int
    engine_calls: int
    seconds: float
    stop_reason: str
    vote: str = ""
    recast: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None

    @property
    def received(self) -> bool:
        """Whether the server answered with a search at all, so that its cost means something."""
        return bool(self.stop_reason)

    def as_dict(self) -> dict[str, Any]:
        """The reply as one JSON object."""
        return asdict(self)


async def ask_all(
    client: httpx.AsyncClient, run: Run, questions: Sequence[str], *, concurrency: int, answers: AnswerReader
) -> AsyncIterator[Reply]:
    """Asks every question under one run and yields replies as they come.

    Args:
        client: An HTTP client whose base URL is the server.
        run: What to send besides the question.
        questions: The questions; a reply names its question by index.
        concurrency: How many requests are open at once, at least 1.
        answers: Tells which answers are the same when votes are taken again.
    """
    gate = asyncio.Semaphore(concurrency)

    async def one(index: int) -> Reply:
        async with gate:
            return await _ask(client, run, index, questions[index], answers)

    for done in asyncio.as_completed([asyncio.create_task(one(index)) for index in range(len(questions))]):
        yield await done


async def _ask(client: httpx.AsyncClient, run: Run, index: int, question: str, answers: AnswerReader) -> Reply:
    began = time.monotonic()
    body = {"messages": [{"role": "user", "content": question}], "seed": index, **run.body}
    try:
        answer = await client.post("/v1/chat/completions", json=body)
    except httpx.HTTPError as error:
        return _failed(index, began, f"{type(error).__name__}: {error}")
    if answer.status_code != httpx.codes.OK:
        return _failed(index, began, f"{answer.status_code}: {answer.text[:200]}")
    seconds = time.monotonic() - began
    return await read_reply(run, index, answer.json(), seconds, answers)


def _failed(index: int, began: float, error: str) -> Reply:
    return Reply(index, "", 0, 0, time.monotonic() - began, "", error=error)


async def read_reply(run: Run, index: int, reply: Mapping[str, Any], seconds: float, answers: AnswerReader) -> Reply:
    """What a reply says, with the votes that the run asks for, checked against what was asked.

    Args:
        run: What was asked.
        index: The question's.
        reply: The ``chat.completion``.
        seconds: How long it took.
        answers: Tells which answers are the same.
    """
    search = reply["search"]
    text = reply["choices"][0]["message"]["content"] or ""
    votes = await recast(search["candidates"] or (), run.votes, answers) if run.votes and search["candidates"] else {}
    return Reply(
        question=index,
        text=text,
        tokens=reply["usage"]["completion_tokens"],
        engine_calls=search["engine_calls"],
        seconds=seconds,
        stop_reason=search["stop_reason"],
        vote=search["vote"] or "",
        recast=votes,
        error=_departure(run, search, text, votes),
    )


def _departure(run: Run, search: Mapping[str, Any], text: str, votes: Mapping[str, str]) -> str | None:
    """How a reply departs from what was asked; None when it does not."""
    if search["strategy"] != run.strategy:
        return f"asked for {run.strategy}, searched by {search['strategy']}"
    if search["reward"] != run.reward:
        return f"asked for reward {run.reward}, scored by {search['reward']}"
    if search["stop_reason"] == "failed":
        return "an engine failed; the best answer so far was given"
    if run.votes and not votes:
        return "the reply lists no candidates"
    if run.votes and votes.get(search["vote"]) != text:
        return f"the vote {search['vote']} over the candidates does not give the reply's answer"
    return None
