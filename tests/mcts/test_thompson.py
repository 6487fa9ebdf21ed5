"""Beliefs about scores: posteriors worked out by hand, and draws with the right mean and spread."""

import itertools

import numpy as np
import pytest

from mcts.strategies.thompson import PRIORS, BetaBelief, GaussianBelief


def test_the_priors_are_the_published_ones():
    """M 0, kappa 1, nu 1, tau2 0.1; or Jeffreys' Beta(1/2, 1/2)."""
    assert {"gaussian": GaussianBelief(0, 1, 1, 0.1), "beta": BetaBelief(0.5, 0.5)} == PRIORS


def test_the_gaussian_posterior():
    """Scores 0.2 and 0.8: mean 0.5, kappa 3, nu 3, m = 2 · 0.5 / 3.

    nu·tau2 = 0.1 + (0.09 + 0.09) + 0.25 · 2 · 1 / 3 = 0.446667, so tau2 = 0.148889.
    """
    belief = GaussianBelief().after([0.2, 0.8])
    assert (belief.kappa, belief.nu) == (3, 3)
    assert (belief.m, belief.tau2) == (pytest.approx(1 / 3), pytest.approx(0.148889, abs=1e-6))


def test_one_score_moves_the_mean_half_way():
    """Score 1: m = 1 / 2, tau2 = (0.1 + 0 + 1 · 1 · 1 / 2) / 2 = 0.3."""
    belief = GaussianBelief().after([1])
    assert (belief.m, belief.kappa, belief.nu, belief.tau2) == (0.5, 2, 2, pytest.approx(0.3))


def test_the_beta_posterior():
    """Scores 0.2, 0.8 and 1: a = 0.5 + 2, b = 0.5 + 0.8 + 0.2 + 0."""
    belief = BetaBelief().after([0.2, 0.8, 1])
    assert (belief.a, belief.b) == (pytest.approx(2.5), pytest.approx(1.5))


@pytest.mark.parametrize("prior", PRIORS.values())
def test_no_score_changes_nothing(prior):
    """Nothing was learnt."""
    assert prior.after([]) == prior == prior.awaiting(0)


@pytest.mark.parametrize("prior", PRIORS.values())
def test_the_order_and_grouping_of_scores_do_not_matter(prior):
    """Replies may come in any order, one by one or together."""
    scores = [0.1, 0.7, 0.4, 1.0]
    beliefs = [prior.after(order) for order in itertools.permutations(scores)]
    beliefs.append(prior.after(scores[:1]).after(scores[1:]))
    for belief in beliefs:
        assert [getattr(belief, name) for name in belief.__slots__] == pytest.approx(
            [getattr(beliefs[0], name) for name in belief.__slots__]
        )


def test_calls_in_flight_keep_the_mean_and_shrink_the_spread():
    """As if each brought the mean: kappa and nu 3 + 2, tau2 = 0.446667 / 5 = 0.0893333."""
    belief = GaussianBelief().after([0.2, 0.8])
    waiting = belief.awaiting(2)
    assert (waiting.m, waiting.kappa, waiting.nu) == (belief.m, 5, 5)
    assert waiting.tau2 == pytest.approx(0.0893333, abs=1e-6)
    told = belief.after([belief.m] * 2)
    assert (told.m, told.kappa, told.tau2) == pytest.approx((waiting.m, waiting.kappa, waiting.tau2))
    # Beta(2.5, 1.5) has mean 0.625: two calls make it Beta(3.75, 2.25).
    assert BetaBelief(2.5, 1.5).awaiting(2) == BetaBelief(3.75, 2.25)


def test_draws_have_the_posteriors_moments():
    """Mu has mean m and variance nu·tau2 / (nu - 2) / kappa = 10 · 0.2 / 8 / 4 = 0.0625; Beta(2, 6) has mean 0.25."""
    chance = np.random.default_rng(1)
    drawn = np.array([GaussianBelief(0.3, 4, 10, 0.2).draw(chance) for _ in range(20_000)])
    assert drawn.mean() == pytest.approx(0.3, abs=0.01)
    assert drawn.var() == pytest.approx(0.0625, abs=0.005)
    assert np.mean([BetaBelief(2, 6).draw(chance) for _ in range(5000)]) == pytest.approx(0.25, abs=0.01)


def test_draws_are_numbers_even_from_the_widest_belief():
    """One degree of freedom has heavy tails, which stay finite."""
    chance = np.random.default_rng(2)
    assert np.isfinite([GaussianBelief().draw(chance) for _ in range(20_000)]).all()
