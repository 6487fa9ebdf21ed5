"""Runs one search: the strategy over the engine and reward ports, watched by metrics, stream and log."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from mcts.errors import EspalierError, NotReady
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
from server.settings import Settings
from server.thoughts import spoken
from server.tooling import CallAnswers

_log = logging.getLogger("espalier.search")


async def run_search(assignment: Assignment, runtime: Runtime, *observers: Observer) -> SearchResult:
    """Searches; the caller holds a place.

    Cancelling it, or the server's end, cancels every engine call of the search.

    Raises:
        NoAnswerInTime: The budget ended before any candidate existed.
        NotReady: The server stopped meanwhile.
        EngineError, RewardError: An engine failed before any candidate existed.
    """
    plan, backend, metrics = assignment.plan, assignment.backend, runtime.metrics
    ports = Ports(
        engine=backend.engine,
        answers=_reader(assignment, runtime.settings),
        reward=backend.rewards[plan.reward] if plan.reward else None,
        renderer=ThreadedRenderer(backend.tokenizer),
        clock=backend.clock,
        observe=Observers(metrics.observer(plan.strategy, plan.reward), *observers),
    )
    metrics.prompt_tokens.inc(len(assignment.task.prompt.token_ids))
    try:
        result = await interrupted_by(
            _strategy(assignment, ports), runtime.stopping.wait(), NotReady("The server is stopping.")
        )
    except asyncio.CancelledError:
        _log_end(assignment, "cancelled")
        raise
    except Exception as error:
        metrics.failed(error)
        _log_end(assignment, type(error).__name__, failed=not isinstance(error, EspalierError))
        raise
    metrics.finished(plan.strategy, result, answer_tokens(result))
    _log_end(assignment, result.stop_reason.value, result)
    return result


def _reader(assignment: Assignment, settings: Settings) -> AnswerReader:
    """What reads the search's answers: calls of tools, JSON, or final answers in a text."""
    answers, tools = assignment.backend.answers.for_search(), assignment.tooling
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


def _log_end(assignment: Assignment, ended: str, result: SearchResult | None = None, *, failed: bool = False) -> None:
    """One line per search, without a word of what was asked or answered."""
    fields: dict[str, Any] = {
        "request_id": assignment.id,
        "search_id": assignment.search_id,
        "strategy": assignment.plan.strategy,
        "reward": assignment.plan.reward,
        "stop_reason": ended,
    }
    if result:
        fields |= {
            "simulations": result.simulations,
            "generated_tokens": result.generated_tokens,
            "nodes": result.nodes,
            "seconds": round(result.seconds, 3),
        }
    _log.log(logging.ERROR if failed else logging.INFO, "search ended", exc_info=failed, extra={"fields": fields})
