"""Texts that begin with the likeliest next tokens: ranking the tokens, and writing on from one of them.

The engine itself tells each token's text, its log-probability and whether it ends the answer, so no tokenizer is
needed: one call of one token ranks them, and each text begins with a call that may only draw its token.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from mcts.calls import Calls
from mcts.ports import NO_TOKEN, Continuation, Finish, Sampling
from mcts.steps import ENDED, joined
from mcts.stops import stopped

MOST_RANKED = 20
"""Engines report at most that many likeliest tokens."""


async def likeliest(calls: Calls, prefix: tuple[int, ...], n: int, taken: Collection[int] = ()) -> list[int] | None:
    """The likeliest next tokens, best first, by the model's own distribution.

    Args:
        calls: The search's calls.
        prefix: Token ids of prompt and path.
        n: How many are wanted, at least 1.
        taken: Tokens that are not wanted.

    Returns:
        At most ``n``: fewer where the engine reports fewer, where they are impossible or where the client rules them
        out. None when the budget has no room for the call.

    Raises:
        EngineError: The call failed for good.
    """
    ranked = await calls.sample(prefix, "rank", max_tokens=1, top_logprobs=min(MOST_RANKED, n + len(taken)))
    if not ranked:
        return None
    alternatives = zip(ranked[0].top_ids[:1].ravel(), ranked[0].top_logprobs[:1].ravel(), strict=True)
    possible = [int(token) for token, logprob in alternatives if token != NO_TOKEN and logprob > -math.inf]
    return [token for token in possible if token not in taken and _permitted(calls.task.sampling, token)][:n]


def _permitted(sampling: Sampling, token: int) -> bool:
    """Whether the client lets a token be drawn at all; the ranking is by the model's own likelihood."""
    banned = sampling.logit_bias.get(token, 0.0) <= -100  # OpenAI's way to ban a token
    return not banned and (not sampling.allowed_token_ids or token in sampling.allowed_token_ids)


async def begun_with_token(
    calls: Calls,
    prefix: tuple[int, ...],
    token: int,
    delimiters: tuple[str, ...] = (),
    max_tokens: int | None = None,
    top_logprobs: int = 0,
) -> tuple[Continuation, ...] | None:
    """A continuation whose first token is given.

    What the client's request keeps from being drawn at all shows only in the reply: words that are not to be written,
    and an end before the least number of tokens.

    Args:
        calls: The search's calls.
        prefix: Token ids of prompt and path.
        token: What it begins with.
        delimiters: Strings that end it.
        max_tokens: Most tokens of it, the first included; None is as many as the path has room for.
        top_logprobs: Alternatives per token that the search wants to see.

    Returns:
        The continuation, only its first token where the budget has no room for more; empty where the client rules that
        beginning out; None where the budget has no room at all.

    Raises:
        EngineError: A call failed for good.
    """
    begun = await calls.sample(prefix, f"begin/{token}", max_tokens=1, allowed=(token,), top_logprobs=top_logprobs)
    if not begun:
        return None
    first = begun[0]
    if first.token_ids != (token,) or (first.finish in ENDED and _too_short(calls, prefix)):
        return ()
    room = calls.path_room((*prefix, token))
    limit = room if max_tokens is None else min(room, max_tokens - 1)
    step_done = limit < 1 or any(delimiter in first.text for delimiter in delimiters)
    if first.finish is not Finish.LENGTH or step_done:
        return (first,)
    rest = await calls.sample(
        (*prefix, token), "begun", max_tokens=limit, delimiters=delimiters, top_logprobs=top_logprobs
    )
    return (stopped((), joined([first, rest[0]]), calls.task.sampling) if rest else first,)


def _too_short(calls: Calls, prefix: tuple[int, ...]) -> bool:
    """Whether the client wants more tokens of a path before it may end than stand in it."""
    return calls.task.max_tokens - calls.path_room(prefix) < calls.task.sampling.min_tokens
