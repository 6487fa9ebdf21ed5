"""Log-probabilities of the winning path in OpenAI's shape."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate

from mcts.ports import NO_TOKEN, Finish, Step, Tokenizer
from server.schemas.reply import Logprobs, TokenLogprob, TopLogprob

IMPOSSIBLE = -9999.0
"""Stands for minus infinity, which JSON cannot carry; OpenAI's own value."""


def step_logprobs(step: Step, tokenizer: Tokenizer, top: int) -> Logprobs:
    """The tokens of one step, without the end-of-sequence token.

    Args:
        step: A step of the winning path.
        tokenizer: Spells each token.
        top: Alternatives per token, 0 to 20.
    """
    return Logprobs(content=list(_tokens(step, tokenizer, top)))


def tokens_from(tokens: Sequence[TokenLogprob], start: int) -> list[TokenLogprob]:
    """The tokens whose text ends behind character ``start`` of their joined text."""
    ends = accumulate(len(token.token) for token in tokens)
    return [token for token, end in zip(tokens, ends, strict=True) if end > start]


def _tokens(step: Step, tokenizer: Tokenizer, top: int) -> Iterator[TokenLogprob]:
    length = len(step.token_ids) - (step.finish is Finish.EOS)
    for place, token in enumerate(step.token_ids[:length]):
        text = tokenizer.decode([token])
        logprob = 0.0 if step.forced else _finite(float(step.logprobs[place]))
        alternatives = [] if step.forced else _alternatives(step, place, tokenizer, top)
        yield TokenLogprob(token=text, logprob=logprob, bytes=list(text.encode()), top_logprobs=alternatives)


def _alternatives(step: Step, place: int, tokenizer: Tokenizer, top: int) -> list[TopLogprob]:
    pairs = list(zip(step.top_ids[place][:top].tolist(), step.top_logprobs[place][:top].tolist(), strict=True))
    texts = [(tokenizer.decode([token]), logprob) for token, logprob in pairs if token != NO_TOKEN]
    return [TopLogprob(token=text, logprob=_finite(logprob), bytes=list(text.encode())) for text, logprob in texts]


def _finite(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else IMPOSSIBLE
