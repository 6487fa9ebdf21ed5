"""One simulation on a leaf that was selected: expand, roll out, score, back up."""

from __future__ import annotations

from contextlib import nullcontext

from mcts.ports import Path, PathScore, Step
from mcts.stops import stopped
from mcts.strategies.expansion import branches
from mcts.strategies.growth import Growth
from mcts.strategies.reflection import reflect
from mcts.tree import Node, State


async def simulate(growth: Growth, leaf: Node) -> bool:
    """Expands and rolls out in one go: the leaf gets the continuations it lacks, each of them one visit.

    A node that has its children already is widened: it gets another ``branch`` continuations, and others may pass
    through it meanwhile.

    The first step of each continuation becomes a child; what follows is that child's rollout, kept so that a later
    expansion along it needs no call. With ``rollout="none"`` a continuation is a single step.

    Returns:
        Whether it could be done; False when the token budget had no room.

    Raises:
        EngineError, RewardError: A call failed for good. The leaf is then as it was before.
    """
    tree, search = growth.tree, growth.search
    widened = leaf.state is State.EXPANDED
    missing = growth.options.branch - len(leaf.rollouts)
    with tree.in_flight(leaf, missing) if widened else tree.claimed(leaf, missing):
        tails = await branches(growth, leaf, missing)
        if tails is None:
            return False
        paths = [search.path((*leaf.steps(), *tail), scored_from=leaf.depth) for tail in tails]
        scores = await search.score(paths, leaf.number)
        if not widened:
            tree.expand(leaf)
        for tail, path, score in zip(tails, paths, scores, strict=True):
            last = growth.attach(leaf, tail, score.value)
            _consider(growth, path, score, (*leaf.steps(), *tail), last)
        tree.finish_expansion(leaf)
    finished = [tail for tail, path in zip(tails, paths, strict=True) if path.finished]
    doubting = growth.options.reflection is not None and finished
    with tree.in_flight(leaf, 1) if doubting else nullcontext():  # or else a tree to be reopened looks exhausted
        growth.news.tell()
        await growth.together(reflect(growth, leaf, tail) for tail in finished)
    return True


def _consider(growth: Growth, path: Path, score: PathScore, steps: tuple[Step, ...], last: Node) -> None:
    """Makes a path a candidate, unless it is a mere beginning that the search can still continue."""
    if path.finished or growth.options.rollout == "full" or last.state is State.TERMINAL:
        growth.search.found(path, score, steps, last)


async def simulate_separately(growth: Growth, leaf: Node) -> bool:
    """Textbook UCT (Kocsis & Szepesvári 2006): expand a visited leaf by single steps, roll out one new child.

    A leaf without visits is rolled out itself. New children that already end the answer need no rollout: each is
    scored and counts one visit. Rollouts are not kept.

    Returns, Raises:
        As ``simulate``.
    """
    if leaf.visits == 0 and leaf.parent is not None:
        return await _roll_out(growth, leaf)
    tree = growth.tree
    with tree.claimed(leaf, 1):
        tails = await branches(growth, leaf, growth.options.branch)
        if tails is None:
            return False
        tree.expand(leaf)
        children = list({tree.child(leaf, tail[0]).number: tree.child(leaf, tail[0]) for tail in tails}.values())
        tree.finish_expansion(leaf)
    ended = [child for child in children if child.state is State.TERMINAL]
    await growth.together(_settle(growth, child, child.steps(), child.depth - 1) for child in ended)
    fresh = next((child for child in children if child.state is State.FRESH), None)
    return fresh is None or await _roll_out(growth, fresh)


async def _roll_out(growth: Growth, node: Node) -> bool:
    """Writes on from a node to the end of the answer."""
    with growth.tree.claimed(node, 1):
        drawn = await growth.search.calls.sample(growth.prefix(node.steps()), "rollout")
        if not drawn:
            return False
        rest = stopped(node.steps(), drawn[0], growth.search.task.sampling)
        steps = (*node.steps(), *growth.options.step.split(rest))
        await _settle(growth, node, steps, node.depth)
    return True


async def _settle(growth: Growth, node: Node, steps: tuple[Step, ...], scored_from: int) -> None:
    """Scores a rollout that passes through a node, backs it up from there and thinks it over."""
    search = growth.search
    path = search.path(steps, scored_from)
    (score,) = await search.score([path], node.number)
    growth.back_up(node, score.value)
    search.found(path, score, steps, node)
    if path.finished:
        await reflect(growth, node, steps[node.depth :])
