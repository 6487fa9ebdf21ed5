"""Runs one search: the strategy over the engine and reward ports, watched by metrics, stream and log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from mcts.errors import NoAnswerInTime, NotReady
from mcts.events import Observer, Observers
from mcts.ports import AnswerReader
from mcts.result import Candidate, SearchResult
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

STOPPING = "The server is stopping."

VOTE_SECONDS = 0.05
"""How long the vote after a deadline may still compare answers by algebra; what nobody has decided by then differs."""


@asynccontextmanager
async def placed(runtime: Runtime, cost: int, key: str) -> AsyncIterator[float]:
    """Holds a place, as ``Admission.place``; waiting for it ends with the server. Gives the seconds waited.

    Raises:
        NotReady: The server stopped meanwhile.
        Overloaded: There is no place and no room to wait for one, or the wait took too long.
    """
    async with AsyncExitStack() as held:
        place = held.enter_async_context(runtime.admission.place(cost, key))
        yield await interrupted_by(place, runtime.stopping.wait(), NotReady(STOPPING))


async def run_search(
    assignment: Assignment, runtime: Runtime, *observers: Observer, waited: float = 0.0
) -> SearchResult:
    """Searches; the caller holds a place, for which it has ``waited`` so many seconds.

    Cancelling it, or the server's end, cancels every engine call of the search.

    Raises:
        NoAnswerInTime: The budget ended before any candidate existed.
        NotReady: The server stopped meanwhile.
        EngineError, RewardError: An engine failed before any candidate existed.
    """
    if runtime.tracing is None:
        return await _run(assignment, runtime, *observers, waited=waited)
    with runtime.tracing.search(assignment, waited) as span:
        result = await _run(assignment, runtime, span, *observers, waited=waited)
        span.answered(result, answer_tokens(result))
        return result


async def _run(assignment: Assignment, runtime: Runtime, *observers: Observer, waited: float) -> SearchResult:
    plan, backend, metrics = assignment.plan, assignment.backend, runtime.metrics
    counted = metrics.observer(plan.strategy, plan.reward)
    ports = Ports(
        engine=backend.engine,
        answers=_reader(assignment, runtime.settings),
        reward=backend.rewards[plan.reward] if plan.reward else None,
        renderer=ThreadedRenderer(backend.tokenizer),
        clock=backend.clock,
        curfew=runtime.curfew,
        observe=Observers(counted, *observers),
    )
    metrics.prompt_tokens.inc(len(assignment.task.prompt.token_ids))
    line = SearchLine(assignment, waited, prompts=runtime.settings.log_prompts, clock=backend.clock)
    try:
        result = await interrupted_by(_strategy(assignment, ports), runtime.stopping.wait(), NotReady(STOPPING))
    except asyncio.CancelledError:
        line.ended("cancelled")
        counted.lost()
        raise
    except Exception as error:
        stopped = isinstance(error, NoAnswerInTime) and runtime.curfew.come
        told = NotReady(STOPPING) if stopped else error
        metrics.failed(told)
        counted.lost()
        line.failed(told)
        if stopped:
            raise told from error
        raise
    counted.answered(result, answer_tokens(result))
    line.answered(result, answer_text(result.winners[0]))
    return result


def _reader(assignment: Assignment, settings: Settings) -> AnswerReader:
    """What reads the search's answers: calls of tools, JSON, or final answers in a text."""
    seconds, tools = assignment.plan.budget.seconds, assignment.tooling
    answers = assignment.backend.answers.for_search(None if seconds is None else seconds + VOTE_SECONDS)
    if tools:
        return CallAnswers(tools, answers, lambda text: spoken(text, assignment, settings))
    return JsonAnswers() if assignment.task.sampling.form else answers


def answer_tokens(result: SearchResult) -> int:
    """Generated tokens that stand in the winners; a step that two of them share counts once."""
    steps = {
        id(step): len(step.token_ids) for winner in result.winners for step in winner.path.steps if not step.forced
    }
    return min(sum(steps.values()), result.generated_tokens)


def answer_text(candidate: Candidate) -> str:
    """What the model wrote: the path's text without a prefill of the client's."""
    return "".join(step.text for step in candidate.path.steps)


async def _strategy(assignment: Assignment, ports: Ports) -> SearchResult:
    return await STRATEGIES[assignment.plan.strategy].run(assignment.task, ports, assignment.plan.options)
