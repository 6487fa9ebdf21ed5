"""Confidence rewards against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mcts.errors import RewardCallFailed
from mcts.ports import NO_TOKEN, Finish, FloatArray, Path, Prompt, Step
from reward.confidence import (
    MEASURES,
    ConfidenceReward,
    entropy,
    marco_o1,
    mean_logprob,
    mean_probability,
    tail,
    window,
    worst_windows,
)

PROMPT = Prompt(token_ids=(1,))


def logs(*probabilities: float) -> FloatArray:
    """Natural logarithms, with -inf for 0."""
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(probabilities, dtype=np.float32))


def step(chosen: list[float], top: list[list[float]], *, forced: bool = False) -> Step:
    """A step whose tokens have these probabilities and these alternatives."""
    count = 0 if forced else len(chosen)
    top_logprobs = np.stack([logs(*row) for row in top]) if count else np.zeros((0, 5), dtype=np.float32)
    return Step(
        token_ids=tuple(range(max(1, count))),
        text="x",
        logprobs=logs(*chosen) if count else np.zeros(0, dtype=np.float32),
        top_ids=np.full(top_logprobs.shape, NO_TOKEN, dtype=np.int32),
        top_logprobs=top_logprobs,
        finish=Finish.LENGTH,
        forced=forced,
    )


SURE = step([0.8], [[0.8, 0.05, 0.05, 0.05, 0.05]])
"""c = 0.8 / 1.0 = 0.8."""

TORN = step([0.4, 0.1], [[0.4, 0.4, 0.0, 0.0, 0.0], [0.5, 0.2, 0.1, 0.1, 0.1]])
"""c = 0.4 / 0.8 = 0.5 and 0.1 / 1.0 = 0.1; mean 0.3."""

ODD = step([0.05], [[0.3, 0.2, 0.1, 0.1, 0.1]])
"""The chosen token is the sixth likeliest: c = 0.05 / 0.8 = 0.0625, its own probability not in the sum."""

PHRASE = step([], [], forced=True)


async def value(*steps: Step, scored_from: int = 0) -> float:
    """Marco-o1's reward of a path."""
    (score,) = await ConfidenceReward().score([Path(PROMPT, steps, scored_from)])
    assert score.steps == ()
    return score.value


async def test_reward_is_the_mean_of_token_confidence() -> None:
    """The value is the mean over tokens, not over steps: (0.8 + 0.5 + 0.1) / 3."""
    assert await value(SURE, TORN) == pytest.approx(1.4 / 3, rel=1e-6)


async def test_chosen_token_outside_the_five_is_numerator_only() -> None:
    """A sixth-likeliest token is divided by the five likeliest, which do not hold it."""
    assert await value(ODD) == pytest.approx(0.0625, rel=1e-5)


async def test_only_the_rollout_is_scored() -> None:
    """Steps before ``scored_from`` take no part."""
    assert await value(SURE, TORN, scored_from=1) == pytest.approx(0.3, rel=1e-6)


async def test_forced_phrases_take_no_part() -> None:
    """A reflection phrase has no confidence: the model did not choose it."""
    assert await value(TORN, PHRASE) == await value(TORN)


async def test_empty_rollout_is_worth_its_path() -> None:
    """A finished leaf that is visited again keeps the worth of its path."""
    assert await value(SURE, scored_from=1) == pytest.approx(0.8, rel=1e-6)
    assert await value(SURE, PHRASE, scored_from=1) == pytest.approx(0.8, rel=1e-6)


async def test_path_without_tokens_is_worth_nothing() -> None:
    """No token of the model's own: 0, not a division by zero."""
    assert await value() == 0.0
    assert await value(PHRASE) == 0.0


async def test_paths_are_scored_in_order() -> None:
    """Each path gets its own score, in the order given."""
    scores = await ConfidenceReward().score([Path(PROMPT, (SURE,)), Path(PROMPT, (ODD,)), Path(PROMPT, (TORN,))])
    assert [round(score.value, 4) for score in scores] == [0.8, 0.0625, 0.3]


async def test_too_few_alternatives_are_refused() -> None:
    """A path sampled without the five likeliest cannot be scored, and says so."""
    bare = step([0.5], [[0.5, 0.5]])
    with pytest.raises(RewardCallFailed, match="5 likeliest"):
        await value(bare)


async def test_poisoned_log_probabilities_are_refused() -> None:
    """Not-a-number never becomes a reward."""
    with pytest.raises(RewardCallFailed, match="not numbers"):
        await value(step([math.nan], [[0.5, 0.2, 0.1, 0.1, 0.1]]))


def test_other_measures_by_hand() -> None:
    """Geometric mean √(0.4·0.1) = 0.2; entropy 0 for a certain token, 1 for a uniform one."""
    assert mean_logprob(TORN.logprobs, TORN.top_logprobs) == pytest.approx(0.2, rel=1e-5)
    certain, uniform = logs(1, 0, 0, 0, 0)[None], logs(0.2, 0.2, 0.2, 0.2, 0.2)[None]
    assert entropy(logs(1.0), certain) == pytest.approx(1.0)
    assert entropy(logs(0.2), uniform) == pytest.approx(0.0, abs=1e-6)


def test_mean_probability_by_hand() -> None:
    """(0.4 + 0.1) / 2 = 0.25: above the geometric mean 0.2, which one improbable token pulls down further."""
    assert mean_probability(TORN.logprobs, TORN.top_logprobs) == pytest.approx(0.25, rel=1e-5)


def test_entropy_by_hand() -> None:
    """Shares (1/2, 1/4, 1/4) have 1.5 ln 2 = 1.0397 nats: 1 − 1.0397 / ln 5 = 0.3540; also where they sum to 0.8."""
    whole, part = logs(0.5, 0.25, 0.25, 0, 0), logs(0.4, 0.2, 0.2, 0, 0)
    expected = 1 - 1.5 * math.log(2) / math.log(5)
    assert expected == pytest.approx(0.3540, abs=1e-4)
    assert entropy(logs(0.5), whole[None]) == pytest.approx(expected, rel=1e-5)
    assert entropy(logs(0.4), part[None]) == pytest.approx(expected, rel=1e-5)
    two = np.stack([whole, logs(1, 0, 0, 0, 0)])
    assert entropy(logs(0.5, 1), two) == pytest.approx((expected + 1) / 2, rel=1e-5)


def test_worst_windows_by_hand() -> None:
    """36 doubtful tokens (c = 0.5) before 64 sure ones: 37 windows, the lowest tenth are 4.

    They hold 36, 35, 34 and 33 doubtful tokens, 34.5 in the mean: 1 − 0.5 · 34.5 / 64 = 0.73046875.
    """
    top = np.stack([logs(0.4, 0.4, 0, 0, 0)] * 36 + [logs(1, 0, 0, 0, 0)] * 64)
    assert worst_windows(top[:, 0], top) == pytest.approx(0.73046875, rel=1e-6)
    assert window(top[:, 0], top) == pytest.approx(1 - 0.5 * 36 / 64, rel=1e-6)
    assert worst_windows(top[:3, 0], top[:3]) == pytest.approx(0.5)


@pytest.mark.parametrize("name", [name for name in MEASURES if not name.startswith("mean_")])
async def test_alternatives_without_probability_are_refused(name: str) -> None:
    """Five impossible tokens leave nothing to divide by: an error, not a value."""
    path = Path(PROMPT, (step([0.5], [[0, 0, 0, 0, 0]]),))
    with pytest.raises(RewardCallFailed, match="not numbers"):
        await ConfidenceReward(MEASURES[name]).score([path])


async def test_impossible_token_is_worth_nothing() -> None:
    """A token of probability 0 (-inf) beside real alternatives: c = 0, geometric mean 0."""
    path = Path(PROMPT, (step([0.0], [[0.5, 0.2, 0.1, 0.1, 0.1]]),))
    for name in ("confidence", "mean_logprob", "mean_probability"):
        (score,) = await ConfidenceReward(MEASURES[name]).score([path])
        assert score.value == 0.0


def test_tail_and_window_see_64_tokens() -> None:
    """36 doubtful tokens (c = 0.5) before 100 sure ones (c = 1): the tail is sure, the worst 64 hold all the doubt."""
    doubtful, sure = logs(0.4, 0.4, 0, 0, 0), logs(1, 0, 0, 0, 0)
    top = np.stack([doubtful] * 36 + [sure] * 100)
    logprobs = top[:, 0]
    assert tail(logprobs, top) == pytest.approx(1.0)
    assert window(logprobs, top) == pytest.approx((36 * 0.5 + 28) / 64)
    assert window(logprobs[:10], top[:10]) == pytest.approx(0.5)


@given(arrays(np.float32, st.tuples(st.integers(1, 80), st.just(5)), elements=st.floats(-30, 0, width=32)), st.data())
def test_every_measure_stays_between_0_and_1(raw: FloatArray, data: st.DataObject) -> None:
    """Whatever the probabilities, a reward is a number in [0, 1] (up to rounding, which ``score`` clips)."""
    top = np.sort(raw - np.log(np.exp(raw).sum(axis=1, keepdims=True)), axis=1)[:, ::-1]
    below = data.draw(st.floats(0, 20))
    logprobs = (top[:, 0] - np.float32(below)).astype(np.float32)
    for measure in MEASURES.values():
        assert -1e-5 <= measure(logprobs, top) <= 1 + 1e-5


def test_confidence_is_marco_o1() -> None:
    """The name ``confidence`` means the published formula."""
    assert MEASURES["confidence"] is marco_o1
    assert ConfidenceReward().top_logprobs == 5
