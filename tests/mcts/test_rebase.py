"""REBASE: the shares by hand, and the rounds they make."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcts.budget import StopReason
from mcts.errors import InvalidRequest
from mcts.strategies import RebaseOptions
from mcts.strategies.rebase import balanced, rebase
from tests.mcts.dictated import dictated
from tests.mcts.toys import search


@pytest.mark.parametrize(
    ("rewards", "budget", "temperature", "shares"),
    [
        # exp(0), exp(-0.5), exp(-1) = 1, 0.607, 0.368. 6 / 1.974 = 3.04: 4. 2 x 0.607 / 0.974 = 1.24: 2. Nothing left.
        ([0.6, 0.5, 0.4], 6, 0.2, [4, 2, 0]),
        ([0.4, 0.6, 0.5], 6, 0.2, [0, 4, 2]),  # the order of the paths does not matter, their shares follow them
        # exp(-2) = 0.135. 8 / 1.135 = 7.05: 8.
        ([0.9, 0.5], 8, 0.2, [8, 0]),
        # T 1: exp(-0.4) = 0.670. 8 / 1.670 = 4.79: 5, and 3 are left.
        ([0.9, 0.5], 8, 1.0, [5, 3]),
        # exp(-0.1) = 0.905: 10 / 2.810 = 3.56: 4. Six for two equals: three each, though 3.0000000000000004 comes out.
        ([0.9, 0.88, 0.88], 10, 0.2, [4, 3, 3]),
        ([0.5, 0.5, 0.5], 3, 0.2, [1, 1, 1]),
        ([0.5, 0.5, 0.5], 4, 0.2, [2, 1, 1]),  # 4 / 3: 2. 2 / 2: 1. 1.
        ([0.0, 0.0], 3, 0.2, [2, 1]),  # rewards of 0 are rewards
        ([0.3], 5, 0.2, [5]),
        ([0.3, 0.2], 0, 0.2, [0, 0]),
        ([], 5, 0.2, []),
        # Exponents of -1000 vanish and would leave a sum of 0 to divide by; exp(1000) would overflow.
        ([1.0, 0.0, 0.0], 5, 0.001, [5, 0, 0]),
        ([0.0, 1.0, 1.0], 5, 0.001, [0, 3, 2]),
    ],
)
def test_shares_by_hand(rewards, budget, temperature, shares):
    """W_i = ceil(B exp(R_i / T) / sum), in turn from the best on, of what is left."""
    assert balanced(rewards, budget, temperature) == shares


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 256), st.floats(0.001, 1000))
def test_shares_add_up_to_the_budget(rewards, budget, temperature):
    """Nothing is lost and nothing is given twice; a better path never gets less than a worse one by more than one."""
    shares = balanced(rewards, budget, temperature)
    assert sum(shares) == budget
    assert min(shares) >= 0
    ranked = [share for _, share in sorted(zip(rewards, shares, strict=True), key=lambda pair: -pair[0])]
    assert all(better >= worse - 1 for better, worse in itertools.pairwise(ranked))


FORK = {
    "": ("A\n\n", "B\n\n", "C\n\n"),
    "A\n\n": ("answer: 1", "D\n\n", "answer: 2", "answer: 2"),
    "B\n\n": ("answer: 3", "E\n\n"),
    "A\n\nD\n\n": ("answer: 4",),
    "B\n\nE\n\n": ("answer: 5",),
}
FORK_WORTH = {"A": 0.6, "B": 0.5, "C": 0.4, "AD": 0.5, "BE": 0.5}


@pytest.mark.parametrize("order", range(6))
def test_better_paths_get_more_and_finished_ones_shrink_the_budget(order):
    """Six places: A, B, C are drawn twice each, so shares are those of 0.6, 0.6, 0.5, 0.5, 0.4, 0.4.

    Weights 1, 1, 0.607, 0.607, 0.368, 0.368 (sum 3.949): 6 / 3.949 = 1.52: 2. 4 / 2.949 = 1.36: 2. 2 x 0.607 / 1.949
    = 0.62: 1. 1 x 0.607 / 1.343 = 0.45: 1. So A gets 4 and B 2. Answers 1, 2, 2 and 3 come of it; two places are left
    for D and E, which are equal: one each.
    """
    chance = random.Random(order)
    where = dictated(FORK, FORK_WORTH, latency=lambda *_: chance.random())
    result = search(rebase, where, RebaseOptions(beams=6))
    asked = [("", 6), ("A\n\n", 4), ("A\n\nD\n\n", 1), ("B\n\n", 2), ("B\n\nE\n\n", 1)]
    assert sorted(where.engine.asked()) == asked
    assert [c.answer for c in result.candidates] == ["1", "2", "2", "3", "4", "5"]
    assert (result.stop_reason, result.simulations) == (StopReason.SIMULATIONS, 5)


def test_cut_paths_get_nothing():
    """What has no room left is no open path; the answers that came are what there is."""
    table = {"": ("A\n\n", "B\n\n"), "A\n\n": ("C\n\n",), "B\n\n": ("",)}
    result = search(rebase, dictated(table, {"A": 0.5, "B": 0.5}), RebaseOptions(beams=4), max_tokens=2)
    assert [(c.path.text, c.path.finished) for c in result.candidates] == [("B\n\n", True)] * 2
    assert result.stop_reason is StopReason.EXHAUSTED


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"beams": 0}, "search.beams"),
        ({"balance": 0}, "search.balance"),
        ({"balance": float("nan")}, "search.balance"),
        ({"aggregate": "max"}, "search.aggregate"),
    ],
)
def test_senseless_options_are_refused_by_name(fields, param):
    """Every option is checked and named as the client wrote it."""
    with pytest.raises(InvalidRequest) as refused:
        RebaseOptions(**fields)
    assert refused.value.param == param
