"""CoT-decoding (Wang & Zhou, 2402.10200): reasoning without a prompt for it and without a search.

Each of the ``k`` likeliest first tokens begins one path, which is then continued as the task samples (greedily in the
paper, and on our server unless the client sets a temperature). Among the paths some reason before they answer, and the
model is surer of the answers that those come to. A path is worth the paper's confidence

    Δ = 1/n · Σ (p(x1) - p(x2))

over the ``n`` tokens of its answer, x1 and x2 being the two likeliest tokens at each place. The answer is that of the
path with the highest Δ, or the one with the highest sum of Δ over the paths that agree on it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mcts.budget import StopReason
from mcts.errors import InvalidRequest
from mcts.events import PathScored
from mcts.options import require, require_between
from mcts.ports import Continuation, PathScore, Sampling
from mcts.result import SearchResult, Task
from mcts.search import Search
from mcts.steps import StepRule
from mcts.strategies.top_tokens import MOST_RANKED, begun_with_token, likeliest
from mcts.strategy import Ports

FIRST_TOKENS = 10  # paper, section 2.2: k
COMPARED = 2  # likeliest tokens at each place

SAMPLING = Sampling(temperature=0)
"""How the paper continues each first token."""


@dataclass(frozen=True, slots=True)
class CotDecodingOptions:
    """Options of ``cot_decoding``.

    Args:
        branch: ``k``, how many first tokens are tried, 1 to 20. Higher values find rarer beginnings and cost
            proportionally more tokens; 1 is greedy decoding.
        vote: ``weighted`` adds the confidences of paths with the same answer, as the paper proposes for steadier
            results; ``max_value`` takes the surest path.
    """

    branch: int = FIRST_TOKENS
    vote: Literal["weighted", "max_value"] = "weighted"

    def __post_init__(self) -> None:
        require_between(self.branch, 1, MOST_RANKED, "search.branch")
        known = self.vote in ("weighted", "max_value")
        require(known, "search.vote must be weighted or max_value: paths are compared by confidence.", "search.vote")


_NOTHING_PERMITTED = "None of the likeliest first tokens may be drawn under this request."


async def cot_decoding(task: Task, ports: Ports, options: CotDecodingOptions) -> SearchResult:
    """Writes one path from each of the likeliest first tokens, all at once, and lets their confidences vote.

    Raises:
        InvalidRequest: The client rules out every likely first token.
        NoAnswerInTime: The budget ended before any path was begun.
        EngineError: The engine failed before any path was done.
    """
    search = Search(task, ports, "cot_decoding", scored=False)
    tokens: list[int] = []
    with search.announced():
        await search.run([functools.partial(_rank, search, options.branch, tokens)])
        await search.run([functools.partial(_write, search, token) for token in tokens])
        if not search.candidates and search.stop_reason is StopReason.SIMULATIONS:
            raise InvalidRequest(_NOTHING_PERMITTED)
        return await search.result(options.vote)


async def _rank(search: Search, branch: int, tokens: list[int]) -> None:
    """Puts the likeliest first tokens into ``tokens``."""
    found = await likeliest(search.calls, search.task.prompt.token_ids, branch)
    if found is None:
        search.reason = StopReason.TOKENS
        return
    if not found:
        raise InvalidRequest(_NOTHING_PERMITTED, "allowed_token_ids")
    tokens.extend(found)


async def _write(search: Search, token: int) -> None:
    """Writes the path that begins with a token and makes it a candidate, if there is room and the client permits it."""
    prefix = search.task.prompt.token_ids
    for written in await begun_with_token(search.calls, prefix, token, top_logprobs=COMPARED) or ():
        _consider(search, written)


def _consider(search: Search, written: Continuation) -> None:
    """Makes a text a candidate by its confidence."""
    path = search.path(StepRule().split(written))
    prefill = search.task.prompt.prefill
    answer = search.ports.answers.extract(path.text)
    sure = confidence(written, answer_tokens(written, answer, prefill))
    value = sure if path.text.strip() else 0.0  # a text may be surest to end at once, and yet says nothing
    search.emit(PathScored(None, value, (), path.finished, search.meter.seconds))
    search.found(path, PathScore(value))
    search.simulation_done()


def answer_tokens(written: Continuation, answer: str | None, prefill: str = "") -> NDArray[np.bool_]:
    """Which tokens of a text write its answer.

    They are those that hold a character of the last place where the answer stands in the text word for word. Where it
    does not stand there (it was normalised, it is part of the prefill, or there is none), all tokens count.

    Args:
        written: The text, ``T`` tokens.
        answer: What the answer reader found in prefill and text.
        prefill: What stands before the text and belongs to the answer's text.

    Returns:
        Shape ``[T]``; at least one is true.
    """
    everything = np.ones(len(written.token_ids), dtype=np.bool_)
    found = (prefill + written.text).rfind(answer) if answer else -1
    if not answer or found < 0:
        return everything
    start, end = found - len(prefill), found - len(prefill) + len(answer)
    ends = written.offsets
    begins = np.concatenate(([0], ends[:-1]))
    # A token may gain no character: it is the beginning of one that takes several, and belongs to what starts there.
    holds: NDArray[np.bool_] = (begins < end) & ((ends > start) | (begins >= start))
    return holds if holds.any() else everything


def confidence(written: Continuation, tokens: NDArray[np.bool_]) -> float:
    """The paper's Δ: the mean difference between the two likeliest tokens' probabilities, in [0, 1].

    Args:
        written: The text, with at least two alternatives per token.
        tokens: Shape ``[T]``: the tokens to average over, at least one of them true.
    """
    likely = np.exp(written.top_logprobs[tokens, :COMPARED].astype(np.float64))
    return float((likely[:, 0] - likely[:, 1]).mean())
