"""What must hold for every tree at any moment between two events; used by many tests."""

from __future__ import annotations

from mcts.tree import Node, State, Tree, step_key


def problems(tree: Tree, *, at_rest: bool = True) -> list[str]:
    """Everything wrong with a tree, in words; ``at_rest`` when no simulation is at work."""
    return [f"node {node.number}: {fault}" for node in tree.nodes for fault in _faults(tree, node, at_rest=at_rest)]


def _faults(tree: Tree, node: Node, *, at_rest: bool) -> list[str]:
    children = list(node.children.values())
    open_children = sum(not child.exhausted for child in children)
    kept = len(node.rollouts)
    holds = {
        "visits in flight": node.in_flight >= 0 and not (at_rest and node.in_flight),
        "left expanding": not (at_rest and node.state is State.EXPANDING),
        "visits": node.visits >= sum(child.visits for child in children) + kept * (not children),
        "value": node.value_sum >= sum(child.value_sum for child in children) - 1e-9,
        "mean": not node.visits or tree.smallest - 1e-9 <= node.value <= tree.largest + 1e-9,
        "open children": node.open_children == open_children,
        "exhausted": node.exhausted == (node.state in {State.TERMINAL, State.EXPANDED} and not open_children),
        "depth": node.depth <= tree.max_depth and all(child.depth == node.depth + 1 for child in children),
        "family": all(child.parent is node and step_key(child.step) == key for key, child in node.children.items()),
        "children of a leaf": not children or node.state is State.EXPANDED,
        "rollouts above children": not (children and kept),
        "priors": abs(node.prior_sum - sum(child.prior for child in children)) < 1e-9,
    }
    return [name for name, held in holds.items() if not held]
