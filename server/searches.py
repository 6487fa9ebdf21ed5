"""Runs one search: the strategy over the engine and reward ports, watched by metrics, stream and log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from engine.remote.affinity import working_for
from mcts.errors import NoAnswerInTime, NotReady
from mcts.events import Observer, Observers
from mcts.ports import AnswerReader
from mcts.result import SearchResult
from mcts.strategies import STRATEGIES
from mcts.strategy import Ports
from reward.json_answers import JsonAnswers
from server.assignments import Assignment
from server.interruption import interrupted_by
from server.rendering import ThreadedRenderer
from server.runtime import Runtime
from server.search_log import SearchLine
from server.settings import Settings
from server.thoughts import spoken
from server.tooling import CallAnswers
from server.written import answer_text, answer_tokens

STOPPING = "The server is stopping."

VOTE_SECONDS = 0.05
"""How long the vote after a deadline may still compare answers by algebra; what nobody has decided by then differs."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place that a request holds: the seconds it waited for it, and the name of the key it came with."""

    waited: float
    key: str


@asynccontextmanager
async def placed(runtime: Runtime, cost: int, key: str) -> AsyncIterator[Place]:
    """Holds a place, as ``Admission.place``; waiting for it ends with the server.

    Raises:
        NotReady: The server stopped meanwhile.
        Overloaded: There is no place and no room to wait for one, or the wait took too long.
    """
    async with AsyncExitStack() as held:
        place = held.enter_async_context(runtime.admission.place(cost, key))
        yield Place(await interrupted_by(place, runtime.stopping.wait(), NotReady(STOPPING)), key)


async def run_search(assignment: Assignment, runtime: Runtime, place: Place, *observers: Observer) -> SearchResult:
    """Searches; the caller holds the place.

    Cancelling it, or the server's end, cancels every engine call of the search.

    Raises:
        NoAnswerInTime: The budget ended before any candidate existed.
        NotReady: The server stopped meanwhile.
        EngineError, RewardError: An engine failed before any candidate existed.
    """
    if runtime.tracing is None:
        return await _run(assignment, runtime, place, *observers)
    with runtime.tracing.search(assignment, place.waited) as span:
        result = await _run(assignment, runtime, place, span, *observers)
        span.answered(result, answer_tokens(result))
        return result


async def _run(assignment: Assignment, runtime: Runtime, place: Place, *observers: Observer) -> SearchResult:
    plan, backend, metrics = assignment.plan, assignment.backend, runtime.metrics
    recording = runtime.traces.begin(assignment, place.waited, place.key)
    counted = metrics.observer(plan.strategy, plan.reward)
    ports = Ports(
        engine=backend.engine,
        answers=_reader(assignment, runtime.settings),
        reward=backend.rewards[plan.reward] if plan.reward else None,
        renderer=ThreadedRenderer(backend.tokenizer),
        clock=backend.clock,
        curfew=runtime.curfew,
        observe=Observers(counted, recording, *observers),
    )
    metrics.prompt_tokens.inc(len(assignment.task.prompt.token_ids))
    line = SearchLine(assignment, place.waited, prompts=runtime.settings.log_prompts, clock=backend.clock)
    try:
        with working_for(assignment.task.search_id):
            result = await interrupted_by(_strategy(assignment, ports), runtime.stopping.wait(), NotReady(STOPPING))
    except asyncio.CancelledError:
        line.ended("cancelled")
        recording.cancelled()
        counted.lost()
        raise
    except Exception as error:
        stopped = isinstance(error, NoAnswerInTime) and runtime.curfew.come
        told = NotReady(STOPPING) if stopped else error
        metrics.failed(told)
        counted.lost()
        line.failed(told)
        recording.failed(told)
        if stopped:
            raise told from error
        raise
    counted.answered(result, answer_tokens(result))
    line.answered(result, answer_text(result.winners[0]))
    recording.answered(result)
    return result


def _reader(assignment: Assignment, settings: Settings) -> AnswerReader:
    """What reads the search's answers: calls of tools, JSON, or final answers in a text."""
    seconds, tools = assignment.plan.budget.seconds, assignment.tooling
    answers = assignment.backend.answers.for_search(None if seconds is None else seconds + VOTE_SECONDS)
    if tools:
        return CallAnswers(tools, answers, lambda text: spoken(text, assignment, settings))
    return JsonAnswers() if assignment.task.sampling.form else answers


async def _strategy(assignment: Assignment, ports: Ports) -> SearchResult:
    return await STRATEGIES[assignment.plan.strategy].run(assignment.task, ports, assignment.plan.options)
