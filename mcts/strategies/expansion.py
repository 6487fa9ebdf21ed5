"""How a leaf comes by its branches: sampled, or started from its likeliest next tokens."""

from __future__ import annotations

from mcts.ports import Continuation, Step
from mcts.stops import stopped
from mcts.strategies.growth import Growth
from mcts.strategies.one_step import is_blank, past_blank, step_bounds
from mcts.strategies.top_tokens import begun_with_token, likeliest
from mcts.tree import Node


async def branches(growth: Growth, leaf: Node, missing: int) -> list[tuple[Step, ...]] | None:
    """Generates the branches a leaf still lacks: whole rollouts, or single steps.

    Args:
        growth: The tree.
        leaf: Where the branches begin.
        missing: How many are wanted.

    Returns:
        The steps of each branch, never an empty step; None when the budget has no room for any call.

    Raises:
        EngineError: A call failed for good.
    """
    prefix = growth.prefix(leaf.steps())
    purpose = f"expand/{leaf.drawn}"  # drawing again from the same node must not repeat its text
    leaf.drawn += missing  # before the call, so that a widening meanwhile has another purpose
    if growth.options.expansion == "top_tokens":
        drawn = await _from_top_tokens(growth, leaf, prefix, missing)
    else:
        drawn = await _sampled(growth, leaf, prefix, missing, purpose)
    if drawn is None:
        return None
    calls, rule, before = growth.search.calls, growth.options.step, leaf.steps()
    if growth.options.one_step:
        drawn = await growth.together(
            past_blank(calls, rule, prefix, before, one, f"{purpose}/on/{i}") for i, one in enumerate(drawn)
        )
        drawn = [one for one in drawn if not is_blank(one)]
    else:
        drawn = [stopped(before, one, calls.task.sampling) for one in drawn]
    return [growth.options.step.split(one) for one in drawn]


async def _sampled(
    growth: Growth, leaf: Node, prefix: tuple[int, ...], n: int, purpose: str
) -> list[Continuation] | None:
    """Draws continuations until there are ``n``, or until the token budget has no room for another.

    A call gets fewer than it asks for where the budget has no room for the worst case of all: most use less, so what
    is missing is asked for again.
    """
    delimiters, limit = _bounds(growth, prefix)
    drawn: list[Continuation] = []
    while len(drawn) < n:
        missing, what = n - len(drawn), f"{purpose}/{len(drawn)}" if drawn else purpose
        more = await growth.search.calls.sample(prefix, what, n=missing, max_tokens=limit, delimiters=delimiters)
        if not more:
            break
        drawn.extend(more)
    leaf.drawn -= n - len(drawn)
    return drawn or None


def _bounds(growth: Growth, prefix: tuple[int, ...]) -> tuple[tuple[str, ...], int]:
    """Delimiters and most tokens of a call that continues a path."""
    calls = growth.search.calls
    if not growth.options.one_step:
        return (), calls.path_room(prefix)
    return step_bounds(calls, growth.options.step, prefix)


async def _from_top_tokens(growth: Growth, leaf: Node, prefix: tuple[int, ...], n: int) -> list[Continuation] | None:
    """Starts a branch from each of the likeliest next tokens that no child or kept rollout starts with."""
    calls = growth.search.calls
    begun_with = [rollout.steps[0].token_ids for rollout in leaf.rollouts] + [tokens for tokens, _ in leaf.children]
    tokens = await likeliest(calls, prefix, n, {tokens[0] for tokens in begun_with if tokens})
    if tokens is None:
        return None
    delimiters, limit = _bounds(growth, prefix)
    branches = (begun_with_token(calls, prefix, token, delimiters, limit) for token in tokens)
    found = [one for one in await growth.together(branches) if one is not None]
    return [one for begun in found for one in begun] if found or not tokens else None
