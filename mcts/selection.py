"""Which leaf to grow next: scores of children (UCB1, PUCT) and the descent along the best of them."""

from __future__ import annotations

import math
from collections.abc import Callable

from mcts.tree import Node, State, Tree

ChildScore = Callable[[Node], float]
Widenable = Callable[[Node], bool]
Scorer = Callable[[Tree, Node], ChildScore]
"""Given the tree and a parent, how desirable each of its children is; the highest is chosen, the first among equals."""


def ucb1(exploration: float, *, normalize: bool) -> Scorer:
    r"""UCB1 with WU-UCT's counts (Liu et al., 1810.11755): ``Q + c · sqrt(ln(N_p + O_p) / (N + O))``.

    Unvisited children come first. ``O`` are the visits in flight: they shrink the bonus of what others are working on
    without pretending anything about its value.

    Args:
        exploration: ``c``, at least 0. Higher values spread visits more evenly over siblings.
        normalize: Whether ``Q`` is rescaled by the smallest and largest reward seen in the tree. Mean token confidence
            lives in a narrow band near 1, where a fixed ``c`` would otherwise degrade to round-robin.
    """

    def for_parent(tree: Tree, parent: Node) -> ChildScore:
        log_parent = math.log(max(1, parent.visits + parent.in_flight))
        scale = tree.rescaled if normalize else _as_is

        def score(child: Node) -> float:
            tries = child.visits + child.in_flight
            if not tries:
                return math.inf
            return scale(_known_value(parent, child)) + exploration * math.sqrt(log_parent / tries)

        return score

    return for_parent


def puct(exploration: float, *, normalize: bool) -> Scorer:
    """PUCT as in AlphaMath (2405.03553): ``Q + c · P · sqrt(N_p + O_p) / (1 + N + O)``.

    ``P`` is the likelihood of the child's step, exp of its mean log-probability, normalised over the siblings (TS-LLM,
    2309.17179). An unvisited child takes the mean of its parent for ``Q``.

    Args:
        exploration: ``c``, at least 0. Higher values trust the model's own preferences longer.
        normalize: As in ``ucb1``.
    """

    def for_parent(tree: Tree, parent: Node) -> ChildScore:
        root_parent = math.sqrt(parent.visits + parent.in_flight)
        scale = tree.rescaled if normalize else _as_is

        def score(child: Node) -> float:
            prior = child.prior / parent.prior_sum
            bonus = exploration * prior * root_parent / (1 + child.visits + child.in_flight)
            return scale(_known_value(parent, child)) + bonus

        return score

    return for_parent


def _as_is(value: float) -> float:
    return value


def _known_value(parent: Node, child: Node) -> float:
    """Mean over completed visits; before the first of them the parent's mean is the best guess."""
    return child.value if child.visits else parent.value


def progressive_widening(exponent: float, branch: int) -> Widenable:
    """Tells when an expanded node has been visited so often that it should be given further branches.

    Progressive widening (Coulom 2007; Chaslot et al. 2008): a node of ``N`` visits, those in flight included, may have
    drawn ``branch · (N / branch) ^ exponent`` continuations. With exponent 0.5 it gets its second set of branches at
    ``4 · branch`` visits, its third at ``9 · branch``.
    A node where an answer ends has only second thoughts below it and is never given more.

    Args:
        exponent: 0 to 1. 0 never widens; higher values make trees wider and less deep.
        branch: Continuations of one expansion, at least 1.
    """

    def widenable(node: Node) -> bool:
        if node.ended:
            return False
        visits = node.visits + node.in_flight
        return node.drawn + branch <= branch * math.pow(visits / branch, exponent)

    return widenable if exponent > 0 else _never


def _never(_: Node) -> bool:
    return False


def descend(tree: Tree, start: Node, scorer: Scorer, branch: int, widenable: Widenable = _never) -> Node | None:
    """Walks from a node to the leaf that the next simulation should grow.

    Exhausted subtrees are passed over. Where the best child leads only to leaves that others are expanding, the
    next best is tried. A leaf whose kept rollouts already give it ``branch`` continuations gets its children on the
    spot, without a call, and the walk goes on below.

    Args:
        tree: The tree.
        start: Where to begin, usually the root.
        scorer: How children are compared.
        branch: Continuations that a leaf is to have.
        widenable: Whether an expanded node met on the way should be given more branches instead.

    Returns:
        A fresh leaf, or an expanded node to be widened. None on a collision (everything selectable is being
        expanded) or when nothing is left.
    """
    node = start
    if node.exhausted or node.state is State.EXPANDING:
        return None
    if node.state is State.FRESH:
        if len(node.rollouts) < branch:
            return node
        tree.expand(node)
        tree.finish_expansion(node)
    elif widenable(node):
        return node
    choices = [child for child in node.children.values() if not child.exhausted and child.state is not State.EXPANDING]
    score = scorer(tree, node)
    while choices:
        best = max(choices, key=score)
        leaf = descend(tree, best, scorer, branch, widenable)
        if leaf is not None:
            return leaf
        choices.remove(best)
    return None
