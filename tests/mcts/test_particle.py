"""Particle filtering: weights and resampling by hand, and what becomes of finished particles."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcts.budget import Budget, StopReason
from mcts.errors import InvalidRequest
from mcts.strategies import ParticleOptions
from mcts.strategies.particle import odds, particle, systematic
from tests.mcts.dictated import dictated
from tests.mcts.toys import forest, search


@pytest.mark.parametrize(
    ("rewards", "tempering", "weights"),
    [
        ([0.5, 0.8], 1, [0.2, 0.8]),  # odds 1 and 4
        ([0.5, 0.8], 2, [1 / 3, 2 / 3]),  # their square roots: 1 and 2
        ([0.5, 0.8], 0.5, [1 / 17, 16 / 17]),  # their squares
        ([0.25, 0.5, 0.75], 1, [1 / 13, 3 / 13, 9 / 13]),  # 1/3, 1, 3
        ([0.0, 0.0], 1, [0.5, 0.5]),
        ([1.0, 0.0], 0.001, [1.0, 0.0]),
        ([0.3], 1, [1.0]),
    ],
)
def test_weights_by_hand(rewards, tempering, weights):
    """Weights are the odds R / (1 - R), their T-th root with a temperature; rewards of 0 and 1 are no trouble."""
    assert odds(rewards, tempering) == pytest.approx(weights)


@pytest.mark.parametrize(
    ("weights", "count", "offset", "taken"),
    [
        # Places 0.1, 0.3, 0.5, 0.7, 0.9 on a line cut at 0.2.
        ([0.2, 0.8], 5, 0.5, [0, 1, 1, 1, 1]),
        # Places 0, 0.2, ...: the second lies on the cut and belongs to what follows.
        ([0.2, 0.8], 5, 0.0, [0, 1, 1, 1, 1]),
        # Places 0.125, 0.375, 0.625, 0.875 on a line cut at 0.5 and 0.6.
        ([0.5, 0.1, 0.4], 4, 0.5, [0, 0, 2, 2]),
        # Places 0.025 + k / 4: the one at 0.525 falls on the path of weight 0.1.
        ([0.5, 0.1, 0.4], 4, 0.1, [0, 0, 1, 2]),
        ([0.0, 1.0, 0.0], 3, 0.999, [1, 1, 1]),
        ([1.0], 2, 0.5, [0, 0]),
    ],
)
def test_systematic_resampling_by_hand(weights, count, offset, taken):
    """One random offset, places at equal distances."""
    assert systematic(weights, count, offset) == taken


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(1, 64), st.floats(0, 0.999), st.floats(0.1, 10))
def test_systematic_resampling_is_fair_to_within_one(rewards, count, offset, tempering):
    """Every path is taken its share rounded down or up, and the population keeps its size."""
    weights = odds(rewards, tempering)
    assert math.fsum(weights) == pytest.approx(1)
    taken = Counter(systematic(weights, count, offset))
    assert sum(taken.values()) == count
    for i, weight in enumerate(weights):
        assert math.floor(weight * count - 1e-6) <= taken[i] <= math.ceil(weight * count + 1e-6)


LADDER = {
    "": ("A\n\n", "B\n\n"),
    "A\n\n": ("answer: 1", "C\n\n"),
    "B\n\n": ("answer: 2",),
    "A\n\nC\n\n": ("answer: 3",),
}


@pytest.mark.parametrize("seed", range(8))
def test_particles_go_where_the_odds_are(seed):
    """Five particles on A (0.8, three times) and B (0.5, twice): odds 4, 4, 4, 1, 1, so A has 12/14 of five, 4.29.

    With systematic resampling that is four or five on A, one or none on B.
    """
    where = dictated(LADDER, {"A": 0.8, "B": 0.5})
    result = search(particle, where, ParticleOptions(particles=5), seed=seed)
    second = dict(where.engine.asked()[1:3])
    assert (second["A\n\n"], second.get("B\n\n", 0)) in {(4, 1), (5, 0)}
    assert len(result.candidates) == 5
    assert all(candidate.path.finished for candidate in result.candidates)
    assert result.stop_reason is StopReason.SIMULATIONS


@pytest.mark.parametrize("resampling", ["systematic", "multinomial"])
@pytest.mark.parametrize("order", range(4))
def test_the_order_of_replies_does_not_matter(resampling, order):
    """The generator is seeded by task and round: the same particles, whenever their texts come."""
    chance = random.Random(order)
    options = ParticleOptions(particles=6, resampling=resampling)
    plain = search(particle, forest(), options)
    late = search(particle, forest(latency=lambda *_: chance.random()), options)
    assert [c.path.text for c in late.candidates] == [c.path.text for c in plain.candidates]
    assert late.generated_tokens == plain.generated_tokens
    other = search(particle, forest(), options, seed=2)
    assert [c.path.text for c in other.candidates] != [c.path.text for c in plain.candidates]


EARLY = {"": ("answer: 1", "A\n\n"), "A\n\n": ("answer: 2",)}


def test_finished_particles_stay_and_are_multiplied():
    """The answer's odds are 10^14 times those of A: all four particles become the answer, nothing more is drawn."""
    where = dictated(EARLY, {"answer:1": 1.0, "A": 0.0})
    result = search(particle, where, ParticleOptions(particles=4))
    assert where.engine.asked() == [("", 4)]
    assert [c.answer for c in result.candidates] == ["1"] * 4
    assert (result.tallies[0].weight, result.tallies[0].count) == (4.0, 4)


def test_finished_particles_may_be_lost():
    """The other way round: A's odds take all, and the answer that came first is no candidate."""
    where = dictated(EARLY, {"answer:1": 0.0, "A": 1.0, "Aanswer:2": 0.5})
    result = search(particle, where, ParticleOptions(particles=4))
    assert where.engine.asked() == [("", 4), ("A\n\n", 4)]
    assert [(c.answer, c.reward) for c in result.candidates] == [("2", 0.5)] * 4


def test_an_answer_that_was_lost_is_better_than_none():
    """The deadline comes while only A's particles are on their way: the lost answers are given."""
    where = dictated(EARLY, {"answer:1": 0.0, "A": 1.0}, latency=lambda _, number: 1.0 + 99 * number)
    result = search(particle, where, ParticleOptions(particles=4), budget=Budget(seconds=5))
    assert ([c.answer for c in result.candidates], result.stop_reason) == (["1", "1"], StopReason.DEADLINE)


def test_cut_particles_are_not_resampled():
    """A has no room left within two tokens, so the particles go to what can still become an answer, or is one."""
    table = {"": ("A\n\n", "answer: 1"), "A\n\n": ("C\n\n",)}
    result = search(particle, dictated(table, {"AC": 1.0, "A": 0.5}), ParticleOptions(particles=4), max_tokens=2)
    assert {(c.answer, c.path.finished) for c in result.candidates} == {("1", True)}
    # The step L M has two tokens, so it is cut at once, and worth most; B has one and can still end.
    table = {"": ("L", "B\n\n"), "L": ("M\n\n",), "B\n\n": ("",)}
    result = search(particle, dictated(table, {"LM": 1.0, "B": 0.5}), ParticleOptions(particles=4), max_tokens=2)
    assert [(c.path.text, c.path.finished) for c in result.candidates] == [("B\n\n", True)] * 4


def test_nothing_is_resampled_once_all_have_finished():
    """Two answers of 0.9 and 0.1 vote with those rewards; resampling them first would count the rewards twice."""
    where = dictated({"": ("answer: 1", "answer: 2")}, {"answer:1": 0.9, "answer:2": 0.1})
    result = search(particle, where, ParticleOptions(particles=2))
    assert {tally.answer: tally.weight for tally in result.tallies} == {"1": 0.9, "2": 0.1}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"particles": 0}, "search.particles"),
        ({"particles": 257}, "search.particles"),
        ({"tempering": 0}, "search.tempering"),
        ({"resampling": "best"}, "search.resampling"),
        ({"vote": "loudest"}, "search.vote"),
    ],
)
def test_senseless_options_are_refused_by_name(fields, param):
    """Every option is checked and named as the client wrote it."""
    with pytest.raises(InvalidRequest) as refused:
        ParticleOptions(**fields)
    assert refused.value.param == param
