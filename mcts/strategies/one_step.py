"""Writing a single step: where its call must stop, and what to do with one that says nothing so far."""

from __future__ import annotations

from collections.abc import Sequence

from mcts.calls import Calls
from mcts.ports import Continuation, Step
from mcts.steps import ENDED, StepRule, joined
from mcts.stops import stopped

MOST_BLANK_CALLS = 2
"""Further calls for a step that is nothing but white space so far, before the branch is given up."""


def step_bounds(calls: Calls, rule: StepRule, prefix: tuple[int, ...]) -> tuple[tuple[str, ...], int]:
    """Delimiters and most tokens of a call that writes one step."""
    return rule.stops, rule.limit(calls.path_room(prefix))


async def past_blank(
    calls: Calls,
    rule: StepRule,
    prefix: tuple[int, ...],
    before: Sequence[Step],
    drawn: Continuation,
    purpose: str,
    *,
    greedy: bool = False,
) -> Continuation:
    """Continues a step that is blank so far: an empty step would mislead reward models that read its end.

    A stop text of the client's that is complete with the step, wherever in the path it begins, ends the text.

    Args:
        calls: The search's calls.
        rule: What ends a step.
        prefix: Token ids of the prompt and of the steps before.
        before: Those steps.
        drawn: The step so far.
        purpose: What further calls are for; siblings that are blank alike need different ones.
        greedy: Whether the likeliest tokens are taken.

    Raises:
        EngineError: A call failed for good.
    """
    drawn = stopped(before, drawn, calls.task.sampling)
    for _ in range(MOST_BLANK_CALLS):
        if not is_blank(drawn):
            break
        longer = (*prefix, *drawn.token_ids)
        delimiters, limit = step_bounds(calls, rule, longer)
        more = await calls.sample(longer, purpose, max_tokens=limit, delimiters=delimiters, greedy=greedy)
        if not more:
            break
        drawn = stopped(before, joined([drawn, more[0]]), calls.task.sampling)
    return drawn


def is_blank(drawn: Continuation) -> bool:
    """Whether a step says nothing, although the text has not ended with it."""
    return not drawn.text.strip() and drawn.finish not in ENDED
