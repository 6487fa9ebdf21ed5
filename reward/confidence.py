"""Confidence rewards: what a path is worth by the model's own token log-probabilities. No further model is asked.

Each measure maps the tokens the model chose (forced phrases take no part) to one number in [0, 1], higher for surer
text. The default is Marco-o1's (arXiv 2411.14405). Log-probabilities are those before temperature and penalties.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcts.errors import RewardCallFailed
from mcts.ports import FloatArray, Path, PathScore, Step

TOP_FIVE = 5
"""Marco-o1 divides by the five likeliest tokens."""

TAIL_TOKENS = 64
"""How many tokens ``tail`` and each window of ``window`` average; as long as Marco-o1's longer mini-step."""

Measure = Callable[[FloatArray, FloatArray], float]
"""Log-probabilities ``[T]`` of the chosen tokens (``T`` ≥ 1) and ``[T, 5]`` of the likeliest to a value in [0, 1]."""


def token_confidence(logprobs: FloatArray, top_logprobs: FloatArray) -> FloatArray:
    """Marco-o1's confidence of each token: c_i = exp(p_i) / Σ_{k≤5} exp(p_k), shape ``[T]``, in [0, 1].

    The numerator is the chosen token's probability even when it is not among the five likeliest, whose sum never
    includes it then; such a token has at most 1/5.
    """
    likeliest = np.exp(top_logprobs[:, :TOP_FIVE].astype(np.float64)).sum(axis=1)
    unknown = np.full_like(likeliest, np.nan)  # without any likely token nothing can be said
    shares = np.divide(np.exp(logprobs.astype(np.float64)), likeliest, out=unknown, where=likeliest > 0)
    confidence: FloatArray = np.minimum(shares, 1.0).astype(np.float32)
    return confidence


def marco_o1(logprobs: FloatArray, top_logprobs: FloatArray) -> float:
    """Mean of c_i over the tokens (2411.14405, section 4). Higher where the model hesitated less."""
    return float(token_confidence(logprobs, top_logprobs).mean(dtype=np.float64))


def mean_logprob(logprobs: FloatArray, top_logprobs: FloatArray) -> float:  # noqa: ARG001 - measures share a signature
    """exp(mean p_i): the geometric mean of the tokens' probabilities, in [0, 1]."""
    return float(np.exp(logprobs.mean(dtype=np.float64)))


def mean_probability(logprobs: FloatArray, top_logprobs: FloatArray) -> float:  # noqa: ARG001 - measures share a signature
    """Mean of exp(p_i), in [0, 1]: the confidence of Guided by Gut, without its bonus for novel tokens."""
    return float(np.exp(logprobs.astype(np.float64)).mean())


def entropy(logprobs: FloatArray, top_logprobs: FloatArray) -> float:  # noqa: ARG001 - measures share a signature
    """1 − mean H_i / ln 5, H_i the entropy of the five likeliest renormalised: 1 where one token takes all."""
    weights = np.exp(top_logprobs[:, :TOP_FIVE].astype(np.float64))
    shares = weights / weights.sum(axis=1, keepdims=True)
    surprise = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return float(1.0 + (shares * surprise).sum(axis=1).mean() / np.log(TOP_FIVE))


def tail(logprobs: FloatArray, top_logprobs: FloatArray) -> float:
    """Mean c_i over the last 64 tokens: how sure the model was while it came to its answer."""
    return float(token_confidence(logprobs, top_logprobs)[-TAIL_TOKENS:].mean(dtype=np.float64))


def window(logprobs: FloatArray, top_logprobs: FloatArray) -> float:
    """The lowest mean c_i of any 64 tokens in a row (all of them when fewer): one lost passage lowers it.

    The lowest group confidence of DeepConf (2508.15260, section 3.1), over c_i.
    """
    return float(_window_means(logprobs, top_logprobs).min())


def worst_windows(logprobs: FloatArray, top_logprobs: FloatArray) -> float:
    """Mean over the lowest tenth (at least one) of all means of 64 tokens in a row: several lost passages lower it.

    The bottom-10 % group confidence of DeepConf (2508.15260, section 3.1), over c_i.
    """
    means = np.sort(_window_means(logprobs, top_logprobs))
    return float(means[: -(-len(means) // 10)].mean())


def _window_means(logprobs: FloatArray, top_logprobs: FloatArray) -> NDArray[np.float64]:
    """Mean c_i of every 64 tokens in a row, shape ``[T − 63]``; of all tokens when there are fewer, shape ``[1]``."""
    confidence = token_confidence(logprobs, top_logprobs).astype(np.float64)
    length = min(TAIL_TOKENS, len(confidence))
    sums = np.concatenate(([0.0], confidence.cumsum()))
    means: NDArray[np.float64] = (sums[length:] - sums[:-length]) / length
    return means


MEASURES: dict[str, Measure] = {
    "confidence": marco_o1,
    "mean_logprob": mean_logprob,
    "mean_probability": mean_probability,
    "entropy": entropy,
    "tail": tail,
    "window": window,
    "worst_windows": worst_windows,
}
"""Confidence rewards by name."""


@dataclass(frozen=True, slots=True)
class ConfidenceReward:
    """A ``RewardModel`` that measures the rollout's tokens, ``steps[scored_from:]``.

    A rollout without tokens of the model's own (a finished leaf visited again) is worth what its whole path is; a path
    without any is worth 0.
    """

    measure: Measure = marco_o1
    top_logprobs: int = TOP_FIVE

    async def score(self, paths: Sequence[Path]) -> list[PathScore]:
        """Scores each path, in order.

        Raises:
            RewardCallFailed: A path carries too few alternatives, or log-probabilities that are not numbers.
        """
        return [PathScore(value=self._value(path)) for path in paths]

    def _value(self, path: Path) -> float:
        chosen = _chosen(path.steps[path.scored_from :]) or _chosen(path.steps)
        if not chosen:
            return 0.0
        logprobs = np.concatenate([step.logprobs for step in chosen])
        top_logprobs = np.concatenate([_alternatives(step) for step in chosen])
        with np.errstate(invalid="ignore", divide="ignore"):  # what comes of impossible tokens is refused below
            value = self.measure(logprobs, top_logprobs)
        if not np.isfinite(value):
            raise RewardCallFailed("The engine reported log-probabilities that are not numbers.")
        return min(1.0, max(0.0, value))


def _chosen(steps: Sequence[Step]) -> list[Step]:
    """The steps that hold tokens the model chose."""
    return [step for step in steps if not step.forced and len(step.logprobs)]


def _alternatives(step: Step) -> FloatArray:
    """The five likeliest log-probabilities of each token, shape ``[T, 5]``."""
    if step.top_logprobs.shape[1] < TOP_FIVE:
        raise RewardCallFailed(f"Confidence needs the {TOP_FIVE} likeliest log-probabilities of every token.")
    return step.top_logprobs[:, :TOP_FIVE]
