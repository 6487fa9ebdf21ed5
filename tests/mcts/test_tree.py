"""Statistics, kept rollouts, merging and exhaustion of the tree."""

from dataclasses import replace

import pytest

from mcts.ports import Finish
from mcts.steps import forced_step
from mcts.tree import Rollout, State, Tree
from tests.mcts.integrity import problems
from tests.mcts.toys import step

END = step(9, finish=Finish.EOS)


def _rooted(max_depth: int = 9, max_tokens: int = 99) -> Tree:
    tree = Tree(max_depth, max_tokens)
    tree.expand(tree.root)
    return tree


def test_a_backup_counts_on_every_node_up_to_the_root():
    """N += 1 and W += reward from the node to the root, elsewhere nothing."""
    tree = _rooted()
    a, b = tree.child(tree.root, step(1)), tree.child(tree.root, step(2))
    tree.expand(a)
    deep = tree.child(a, step(3))
    tree.backup(deep, 1, 0.75)
    tree.backup(b, 1, 0.25)
    assert [(node.visits, node.value_sum) for node in (tree.root, a, deep, b)] == [
        (2, 1.0),
        (1, 0.75),
        (1, 0.75),
        (1, 0.25),
    ]
    assert (tree.root.value, tree.smallest, tree.largest) == (0.5, 0.25, 0.75)


def test_equal_texts_of_different_tokens_stay_apart():
    """Children are told apart by token ids: the engine continues tokens, and the same text may be cut otherwise."""
    tree = _rooted()
    whole, cut = step(12), replace(step(1, 2), text="t12")
    assert whole.text == cut.text
    for reward, first in ((1.0, whole), (0.25, cut), (0.5, cut)):
        tree.attach(tree.root, Rollout((first, END), reward))
    a, b = tree.root.children.values()
    assert (a.step.token_ids, a.visits, a.value_sum) == ((12,), 1, 1.0)
    assert (b.step.token_ids, b.visits, b.value_sum) == ((1, 2), 2, 0.75)
    assert (tree.locate((whole, END)), tree.locate((cut, END))) == (a, b)
    assert problems(tree) == []


def test_equal_first_steps_merge():
    """Rollouts that begin with the same tokens share a child, which has as many visits."""
    tree = _rooted()
    for reward, first in ((1.0, 1), (0.5, 1), (0.25, 2)):
        tree.attach(tree.root, Rollout((step(first), END), reward))
    one, two = tree.root.children.values()
    assert (one.visits, one.value_sum, len(one.rollouts)) == (2, 1.5, 2)
    assert (two.visits, two.value_sum) == (1, 0.25)
    assert tree.root.visits == 3


def test_a_step_that_ends_the_answer_does_not_merge_with_one_that_goes_on():
    """Same tokens, but one is a finished answer: two nodes."""
    tree = _rooted()
    tree.attach(tree.root, Rollout((step(1, finish=Finish.STOP),), 1.0))
    tree.attach(tree.root, Rollout((step(1),), 1.0))
    assert [node.state for node in tree.root.children.values()] == [State.TERMINAL, State.FRESH]


def test_kept_rollouts_move_down_one_level_with_their_rewards():
    """Expanding a leaf turns the next steps of its kept rollouts into children; nothing above changes."""
    tree = _rooted()
    for reward, second in ((1.0, 2), (0.5, 2), (0.0, 3)):
        tree.attach(tree.root, Rollout((step(1), step(second), END), reward))
    (leaf,) = tree.root.children.values()
    tree.expand(leaf)
    two, three = leaf.children.values()
    assert (leaf.visits, leaf.value_sum, tree.root.visits) == (3, 1.5, 3)
    assert (two.visits, two.value_sum, len(two.rollouts)) == (2, 1.5, 2)
    assert (three.visits, three.value_sum, len(three.rollouts)) == (1, 0.0, 1)
    assert leaf.rollouts == []
    assert problems(tree) == []


def test_a_rollout_joins_nodes_that_another_simulation_has_opened_meanwhile():
    """Attaching walks down through expanded nodes and keeps only what lies below them."""
    tree = _rooted()
    tree.attach(tree.root, Rollout((step(1), step(2), END), 1.0))
    (leaf,) = tree.root.children.values()
    tree.expand(leaf)
    last = tree.attach(tree.root, Rollout((step(1), step(2), END), 0.5))
    assert (last.depth, last.visits, last.value_sum, len(last.rollouts)) == (2, 2, 1.5, 2)
    assert problems(tree) == []


def test_visits_in_flight_are_given_back_whatever_happens():
    """A failing simulation leaves neither visits in flight nor a leaf that looks busy."""
    tree = _rooted()
    leaf = tree.child(tree.root, step(1))

    def fail() -> None:
        with tree.claimed(leaf, 3):
            assert (tree.root.in_flight, leaf.in_flight, leaf.state) == (3, 3, State.EXPANDING)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (tree.root.in_flight, leaf.in_flight, leaf.state) == (0, 0, State.FRESH)


def test_exhaustion_climbs_to_the_root():
    """A node is exhausted once it is expanded and all its children are."""
    tree = _rooted()
    a, b = tree.child(tree.root, step(1)), tree.child(tree.root, step(2))
    for leaf in (a, b):
        assert not tree.root.exhausted
        tree.expand(leaf)
        tree.child(leaf, END)
        tree.finish_expansion(leaf)
        assert leaf.exhausted
    assert tree.root.exhausted
    assert problems(tree) == []


def test_paths_end_at_the_depth_and_token_limits():
    """A node at either limit is terminal though the answer is not finished."""
    tree = _rooted(max_depth=2, max_tokens=4)
    a = tree.child(tree.root, step(1))
    tree.expand(a)
    assert tree.child(a, step(2)).state is State.TERMINAL  # depth 2
    assert tree.child(tree.root, step(1, 2, 3, 4)).state is State.TERMINAL  # 4 tokens
    assert a.state is State.EXPANDED


def test_a_rollout_below_the_depth_limit_is_counted_but_not_kept():
    """The tree ends at the limit; the text that went further has still earned its reward."""
    tree = _rooted(max_depth=1)
    node = tree.attach(tree.root, Rollout((step(1), step(2), END), 1.0))
    assert (node.depth, node.visits, node.rollouts, tree.depth) == (1, 1, [], 1)


def test_second_thoughts_reopen_a_finished_branch():
    """A rollout that continues a finished node makes it and its exhausted ancestors selectable again."""
    tree = _rooted()
    tree.attach(tree.root, Rollout((END,), 0.5))
    tree.finish_expansion(tree.root)
    assert tree.root.exhausted
    phrase = forced_step("Wait!", (7,))
    last = tree.attach(tree.root, Rollout((END, phrase, step(1), END), 1.0))
    (finished,) = tree.root.children.values()
    (doubt,) = finished.children.values()
    assert last is finished
    assert (finished.visits, doubt.visits, doubt.state, doubt.step) == (2, 1, State.FRESH, phrase)
    assert not finished.exhausted
    assert not tree.root.exhausted
    assert problems(tree) == []


def test_new_nodes_are_told_with_the_visits_they_are_born_with():
    """The listener sees each node once, its kept rollouts' visits already in it."""
    told = []
    tree = Tree(9, 99, lambda node: told.append((node.number, node.visits, node.value_sum)))
    tree.expand(tree.root)
    for _ in range(2):
        tree.attach(tree.root, Rollout((step(1), step(2)), 0.5))
    tree.expand(tree.nodes[1])
    assert told == [(1, 0, 0.0), (2, 2, 1.0)]
