"""Second thoughts: a finished answer is continued after a phrase that doubts it (Marco-o1, 2411.14405, section 4)."""

from __future__ import annotations

from mcts.ports import Finish, Step
from mcts.steps import forced_step
from mcts.stops import stopped
from mcts.strategies.growth import Growth
from mcts.tree import Node


async def reflect(growth: Growth, leaf: Node, tail: tuple[Step, ...]) -> None:
    """Continues a finished path after the reflection phrase; the answers before and after are both candidates.

    The end-of-sequence token is left out of the continued path. The phrase is a step of its own, in the tree a child
    of the finished node, and the new rollout is one more visit. The second thought is scored by what follows the
    phrase. Every finished path is thought over at most once and a second thought never again. Paths that ended at
    the client's stop string are left alone: their text was cut, so it cannot be continued as the client sees it.

    Args:
        growth: The tree; does nothing unless its options have a reflection.
        leaf: The node from which ``tail`` leads to the end of the answer.
        tail: Steps from there; may be empty when the leaf itself is the end.
    """
    phrase = growth.options.reflection
    before = (*leaf.steps(), *tail)
    if phrase is None or before[-1].finish is not Finish.EOS or any(step.forced for step in before):
        return
    key = tuple(token for step in before for token in step.token_ids)
    if key in growth.reflected:
        return
    growth.reflected.add(key)
    search, tree = growth.search, growth.tree
    doubted = (*before, forced_step(phrase.text, phrase.token_ids))
    with tree.in_flight(tree.locate(before), 1):
        drawn = await search.calls.sample(growth.prefix(doubted), "reflect")
        if not drawn:
            return
        second = stopped(doubted, drawn[0], search.task.sampling)
        steps = (*doubted, *growth.options.step.split(second))
        path = search.path(steps, scored_from=len(doubted))
        (score,) = await search.score([path], leaf.number)
        if growth.options.joint:
            last = growth.attach(leaf, steps[leaf.depth :], score.value)
        else:
            growth.back_up(leaf, score.value)
            last = leaf
        search.found(path, score, steps, last)
