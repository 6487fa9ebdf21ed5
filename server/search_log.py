"""The one line that each search leaves in the log: what it was, why it ended, what it took. No word of it."""

from __future__ import annotations

import logging
from typing import Any

from mcts.budget import Clock
from mcts.errors import EspalierError
from mcts.result import SearchResult
from server.assignments import Assignment

_log = logging.getLogger("espalier.search")

MOST_TEXT = 1000
"""Characters of a prompt, counted from its end where the question stands, and of an answer that are logged if asked."""


class SearchLine:
    """The line of one search, which begins now.

    Args:
        assignment: What is searched.
        waited: Seconds that it waited for a place.
        prompts: Whether the line holds prompt and answer.
        clock: Seconds.
    """

    def __init__(self, assignment: Assignment, waited: float, *, prompts: bool, clock: Clock) -> None:
        plan = assignment.plan
        self._began, self._clock, self._prompts = clock(), clock, prompts
        self._fields: dict[str, Any] = {
            "request_id": assignment.id,
            "search_id": assignment.search_id,
            "strategy": plan.strategy,
            "reward": plan.reward,
            "budget_simulations": plan.budget.simulations,
            "budget_tokens": plan.budget.tokens,
            "budget_seconds": plan.budget.seconds,
            "prompt_tokens": len(assignment.task.prompt.token_ids),
            "waited_seconds": round(waited, 3),
        }
        if prompts:
            self._fields["prompt"] = assignment.task.prompt.text[-MOST_TEXT:]

    def answered(self, result: SearchResult, answer: str) -> None:
        """The search gave an answer."""
        self._fields |= {
            "simulations": result.simulations,
            "generated_tokens": result.generated_tokens,
            "engine_calls": result.engine_calls,
            "nodes": result.nodes,
        }
        if self._prompts:
            self._fields["answer"] = answer[:MOST_TEXT]
        self.ended(result.stop_reason.value)

    def failed(self, error: Exception) -> None:
        """The search gave none. What was not raised on purpose is logged with where it came from."""
        ours = isinstance(error, EspalierError)
        self.ended(type(error).__name__, logging.INFO if ours else logging.ERROR, None if ours else error)

    def ended(self, stop_reason: str, level: int = logging.INFO, error: Exception | None = None) -> None:
        """Writes the line."""
        fields = self._fields | {"stop_reason": stop_reason, "seconds": round(self._clock() - self._began, 3)}
        _log.log(level, "search ended", exc_info=error, extra={"fields": fields})
