"""How a leaf comes by its branches: sampled, or started from its likeliest next tokens."""

from __future__ import annotations

import math

from mcts.calls import Calls
from mcts.ports import NO_TOKEN, Continuation, Finish, Sampling, Step
from mcts.steps import joined
from mcts.strategies.growth import Growth
from mcts.strategies.one_step import is_blank, past_blank, step_bounds
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
    leaf.drawn += missing
    if growth.options.expansion == "top_tokens":
        drawn = await _from_top_tokens(growth, leaf, prefix, missing)
    else:
        drawn = await _sampled(growth, prefix, missing, purpose)
    if drawn is None:
        return None
    if growth.options.one_step:
        calls, rule = growth.search.calls, growth.options.step
        drawn = await growth.together(past_blank(calls, rule, prefix, one) for one in drawn)
        drawn = [one for one in drawn if not is_blank(one)]
    return [growth.options.step.split(one) for one in drawn]


async def _sampled(growth: Growth, prefix: tuple[int, ...], n: int, purpose: str) -> list[Continuation] | None:
    delimiters, limit = _bounds(growth, prefix)
    calls = growth.search.calls
    return list(await calls.sample(prefix, purpose, n=n, max_tokens=limit, delimiters=delimiters)) or None


def _bounds(growth: Growth, prefix: tuple[int, ...], used: int = 0) -> tuple[tuple[str, ...], int]:
    """Delimiters and most tokens of a call that continues a path, ``used`` tokens of the step being there already."""
    calls = growth.search.calls
    if not growth.options.one_step:
        return (), calls.path_room(prefix)
    return step_bounds(calls, growth.options.step, prefix, used)


async def _from_top_tokens(growth: Growth, leaf: Node, prefix: tuple[int, ...], n: int) -> list[Continuation] | None:
    """Starts a branch from each of the likeliest next tokens that no child or kept rollout starts with.

    One call of one token ranks them. Each branch then begins with a call that may only draw its token, so the engine
    itself tells the token's text, its log-probability and whether it ends the answer, and goes on from there.
    """
    calls = growth.search.calls
    begun_with = [rollout.steps[0].token_ids for rollout in leaf.rollouts] + [tokens for tokens, _ in leaf.children]
    taken = {tokens[0] for tokens in begun_with if tokens}
    ranked = await calls.sample(prefix, "rank", max_tokens=1, top_logprobs=min(20, n + len(taken)))
    if not ranked:
        return None
    alternatives = zip(ranked[0].top_ids[:1].ravel(), ranked[0].top_logprobs[:1].ravel(), strict=True)
    top = [(int(token), float(logprob)) for token, logprob in alternatives]
    taken |= {NO_TOKEN, *(token for token, logprob in top if logprob == -math.inf)}
    likeliest = [token for token, _ in top if token not in taken and _permitted(calls.task.sampling, token)]
    started = await growth.together(_started(growth, calls, prefix, token) for token in likeliest[:n])
    found = [one for one in started if one is not None]
    return found if found or not likeliest else None


def _permitted(sampling: Sampling, token: int) -> bool:
    """Whether the client lets a token be drawn at all; the ranking is by the model's own likelihood."""
    banned = sampling.logit_bias.get(token, 0.0) <= -100  # OpenAI's way to ban a token
    return not banned and (not sampling.allowed_token_ids or token in sampling.allowed_token_ids)


async def _started(growth: Growth, calls: Calls, prefix: tuple[int, ...], token: int) -> Continuation | None:
    """A continuation that begins with a given token; None when the budget has no room for it."""
    begun = await calls.sample(prefix, f"begin/{token}", max_tokens=1, allowed=(token,))
    if not begun:
        return None
    first = begun[0]
    delimiters, limit = _bounds(growth, (*prefix, token), used=1)
    step_done = limit < 1 or any(delimiter in first.text for delimiter in delimiters)
    if first.finish is not Finish.LENGTH or step_done:
        return first
    rest = await calls.sample((*prefix, token), "begun", max_tokens=limit, delimiters=delimiters)
    return joined([first, rest[0]]) if rest else first
