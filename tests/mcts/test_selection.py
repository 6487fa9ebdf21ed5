"""UCB1, PUCT and the descent, against numbers worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mcts.ports import Finish
from mcts.selection import descend, progressive_widening, puct, ucb1
from mcts.steps import forced_step
from mcts.tree import LEAST_PRIOR, Rollout, State, Tree, step_prior
from tests.mcts.toys import step


def _tree_with(*children: tuple[int, float]) -> Tree:
    """A root with children of given visits and value sums."""
    tree = Tree(max_depth=9, max_tokens=99)
    tree.expand(tree.root)
    for number, (visits, value_sum) in enumerate(children, start=1):
        child = tree.child(tree.root, step(number))
        if visits:
            tree.backup(child, visits, value_sum)
    return tree


def _nodes_of(tree: Tree):
    return list(tree.root.children.values())


def test_ucb1_is_the_mean_plus_the_bonus():
    """UCB1 gives Q + c sqrt(ln N_p / N)."""
    tree = _tree_with((2, 1.0), (3, 2.4))
    score = ucb1(0.5, normalize=False)(tree, tree.root)
    first, second = _nodes_of(tree)
    # N_p = 5, ln 5 = 1.609438. First: 0.5 + 0.5 sqrt(1.609438 / 2) = 0.5 + 0.5 x 0.897061 = 0.948530.
    assert score(first) == pytest.approx(0.948530, abs=1e-6)
    # Second: 0.8 + 0.5 sqrt(1.609438 / 3) = 0.8 + 0.5 x 0.732447 = 1.166223.
    assert score(second) == pytest.approx(1.166223, abs=1e-6)


def test_visits_in_flight_count_as_visits_but_not_as_value():
    """WU-UCT: Q + c sqrt(ln(N_p + O_p) / (N + O)), Q over completed visits only."""
    tree = _tree_with((2, 1.0), (2, 1.0))
    first, second = _nodes_of(tree)
    with tree.in_flight(first, 2):
        score = ucb1(1.0, normalize=False)(tree, tree.root)
        # N_p + O_p = 4 + 2, ln 6 = 1.791759. First: 0.5 + sqrt(1.791759 / 4) = 1.169283.
        assert score(first) == pytest.approx(1.169283, abs=1e-6)
        # Second: 0.5 + sqrt(1.791759 / 2) = 0.5 + 0.946509.
        assert score(second) == pytest.approx(1.446509, abs=1e-6)
    assert tree.root.in_flight == first.in_flight == 0


def test_values_are_rescaled_by_the_rewards_seen():
    """With rewards 0.90 and 0.98 seen, a mean of 0.96 counts as (0.96 - 0.90) / 0.08 = 0.75."""
    tree = _tree_with((1, 0.90), (1, 0.98))
    first, _ = _nodes_of(tree)
    assert tree.rescaled(0.96) == pytest.approx(0.75)
    # ln 2 = 0.693147, sqrt = 0.832555; the first child has the smallest reward: 0 + 0.832555.
    assert ucb1(1.0, normalize=True)(tree, tree.root)(first) == pytest.approx(0.832555, abs=1e-6)


def test_equal_rewards_rescale_to_the_middle():
    """Before two different rewards have been seen every value is 0.5."""
    assert _tree_with((2, 1.4)).rescaled(0.7) == 0.5


def test_unvisited_children_come_first():
    """UCB1 prefers a child without visits, even to a perfect one."""
    tree = _tree_with((5, 5.0), (0, 0.0))
    assert descend(tree, tree.root, ucb1(0.1, normalize=False), 1) is _nodes_of(tree)[1]


def test_puct_weighs_the_bonus_by_the_prior():
    """PUCT gives Q + c P sqrt(N_p) / (1 + N), P normalised over the siblings."""
    tree = Tree(9, 99)
    tree.expand(tree.root)
    likely = tree.child(tree.root, step(1, logprob=math.log(0.6)))
    rare = tree.child(tree.root, step(2, 3, logprob=math.log(0.2)))  # two tokens of 0.2: mean log-probability ln 0.2
    tree.backup(likely, 4, 2.0)
    score = puct(1.25, normalize=False)(tree, tree.root)
    # P = 0.6 / 0.8 = 0.75: 0.5 + 1.25 x 0.75 x sqrt(4) / (1 + 4) = 0.5 + 0.375 = 0.875.
    assert score(likely) == pytest.approx(0.875, abs=1e-6)
    # P = 0.25, Q of the parent 0.5 while unvisited: 0.5 + 1.25 x 0.25 x 2 / 1 = 1.125.
    assert score(rare) == pytest.approx(1.125, abs=1e-6)


def test_siblings_spread_while_one_is_in_flight():
    """Of two equal children the second is selected while the first is being worked on."""
    tree = _tree_with((1, 0.5), (1, 0.5))
    first, second = _nodes_of(tree)
    scorer = ucb1(1.0, normalize=True)
    assert descend(tree, tree.root, scorer, 4) is first
    with tree.claimed(first, 4):
        assert descend(tree, tree.root, scorer, 4) is second
        with tree.claimed(second, 4):
            assert descend(tree, tree.root, scorer, 4) is None  # a collision
    assert first.state is second.state is State.FRESH
    assert descend(tree, tree.root, scorer, 4) is first


def test_a_collision_deep_down_leads_to_the_next_best_subtree():
    """Where the best child holds only leaves under expansion, its sibling's leaf is taken."""
    tree = _tree_with((3, 3.0), (3, 0.0))
    best, other = _nodes_of(tree)
    tree.expand(best)
    leaf = tree.child(best, step(9))
    with tree.claimed(leaf, 1):
        assert descend(tree, tree.root, ucb1(0.0, normalize=False), 1) is other


def test_exhausted_subtrees_are_passed_over():
    """A child with nothing left below is never selected, however good."""
    tree = _tree_with((3, 3.0), (3, 0.0))
    best, other = _nodes_of(tree)
    tree.expand(best)
    tree.child(best, step(9, finish=Finish.EOS))
    tree.finish_expansion(best)
    assert best.exhausted
    assert descend(tree, tree.root, ucb1(0.0, normalize=False), 1) is other


def test_a_leaf_with_enough_kept_rollouts_opens_without_a_call():
    """The walk goes on through leaves whose kept rollouts give them all their branches."""
    tree = Tree(9, 99)
    tree.expand(tree.root)
    for _ in range(2):
        tree.attach(tree.root, Rollout((step(1), step(2), step(3)), 0.5))
    leaf = descend(tree, tree.root, ucb1(1.0, normalize=True), 2)
    assert leaf is not None
    assert leaf.depth == 3  # both rollouts are the same: two levels open for free, nothing is left to reuse at t3
    assert [node.visits for node in leaf.lineage()] == [2, 2, 2, 2]


def test_selection_takes_microseconds_per_level():
    """The cost of a descent does not grow with the tree, only with its depth and branching."""
    tree = Tree(max_depth=400, max_tokens=10**6)
    node = tree.root
    for level in range(300):
        tree.expand(node)
        for branch in range(8):
            tree.backup(tree.child(node, step(level, branch)), 1, 0.5)
        node = next(iter(node.children.values()))
    calls = 0

    def counting(t, parent):
        score = ucb1(1.0, normalize=True)(t, parent)

        def counted(child):
            nonlocal calls
            calls += 1
            return score(child)

        return counted

    leaf = descend(tree, tree.root, counting, 1)
    assert leaf is not None
    assert calls == 8 * leaf.depth


def test_puct_counts_visits_in_flight_like_visits():
    """PUCT with WU-UCT's counts: Q + c P sqrt(N_p + O_p) / (1 + N + O), Q over completed visits only."""
    tree = Tree(9, 99)
    tree.expand(tree.root)
    likely = tree.child(tree.root, step(1, logprob=math.log(0.6)))
    rare = tree.child(tree.root, step(2, logprob=math.log(0.2)))
    tree.backup(likely, 4, 2.0)
    with tree.in_flight(likely, 5):
        score = puct(1.25, normalize=False)(tree, tree.root)
        # N_p + O_p = 4 + 5, sqrt 3. Likely: 0.5 + 1.25 x 0.75 x 3 / (1 + 4 + 5) = 0.5 + 0.28125.
        assert score(likely) == pytest.approx(0.78125, abs=1e-6)
        # Rare, unvisited: the parent's 0.5 + 1.25 x 0.25 x 3 / 1 = 1.4375.
        assert score(rare) == pytest.approx(1.4375, abs=1e-6)
    with tree.in_flight(rare, 5):
        # 0.5 + 1.25 x 0.25 x 3 / (1 + 5) = 0.65625: what is tried five times at once looks less neglected, not worse.
        assert puct(1.25, normalize=False)(tree, tree.root)(rare) == pytest.approx(0.65625, abs=1e-6)


def test_puct_rescales_values_but_not_the_prior():
    """Rewards 0.90 and 0.98 become 0 and 1; an unvisited child takes the rescaled mean of its parent, not 0 (D12)."""
    tree = Tree(9, 99)
    tree.expand(tree.root)
    low, high, fresh = (tree.child(tree.root, step(number, logprob=math.log(0.25))) for number in (1, 2, 3))
    tree.backup(low, 1, 0.90)
    tree.backup(high, 1, 0.98)
    score = puct(0.6, normalize=True)(tree, tree.root)
    # P = 1/3 each, N_p = 2: the bonus is 0.6 / 3 x sqrt(2) / 2 = 0.141421 for one visit and 0.282843 for none.
    assert score(low) == pytest.approx(0.141421, abs=1e-6)
    assert score(high) == pytest.approx(1.141421, abs=1e-6)
    assert score(fresh) == pytest.approx(0.782843, abs=1e-6)


def test_puct_without_visits_follows_the_priors_alone():
    """At a parent without visits the bonus is 0 for all, so the first child is taken; from then on the likeliest one.

    With N_p = 1 and equal values 0.5: visited 0.5 + 0.3 / 2, likely 0.5 + 0.6, rare 0.5 + 0.1 (c = 1).
    """
    tree = Tree(9, 99)
    tree.expand(tree.root)
    visited, likely, rare = (
        tree.child(tree.root, step(number, logprob=math.log(share))) for number, share in enumerate((0.3, 0.6, 0.1), 1)
    )
    scorer = puct(1.0, normalize=False)
    assert descend(tree, tree.root, scorer, 1) is visited
    tree.backup(visited, 1, 0.5)
    score = scorer(tree, tree.root)
    assert [score(child) for child in (visited, likely, rare)] == pytest.approx([0.65, 1.1, 0.6], abs=1e-6)
    assert descend(tree, tree.root, scorer, 1) is likely


def test_a_prior_is_the_likelihood_per_token():
    """The exponential of the mean log-probability: 0.5, 0.5 and 0.25 weigh (1/16)^(1/3) = 0.396850, not 1/16."""
    logprobs = np.log([0.5, 0.5, 0.25]).astype(np.float32)
    assert step_prior(replace(step(1, 2, 3), logprobs=logprobs)) == pytest.approx(0.396850, abs=1e-6)
    assert step_prior(step(1, logprob=-np.inf)) == LEAST_PRIOR
    assert step_prior(forced_step("Hm.", (1,))) == 1.0


def test_a_node_where_an_answer_ends_is_never_widened():
    """However often its second thoughts are visited: a continuation of an ended answer would be an empty step."""
    tree = Tree(9, 99)
    tree.expand(tree.root)
    answer = tree.child(tree.root, step(1, finish=Finish.EOS))
    for number in range(20):
        tree.attach(tree.root, Rollout((step(1, finish=Finish.EOS), step(7), step(number)), 0.5))
    assert (answer.state, answer.visits) == (State.EXPANDED, 20)
    widenable = progressive_widening(0.5, 4)
    assert answer.drawn + 4 <= 4 * math.sqrt(20 / 4)  # an open node would be: 1 + 4 <= 8.9
    assert not widenable(answer)
    assert widenable(tree.root)
