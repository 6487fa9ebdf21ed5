"""A population of paths that grow step by step under a reward. What beam search, DVTS, REBASE and particles share.

Knows how a path is extended, looked ahead from, scored and made a candidate; not which paths deserve it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mcts.aggregates import AGGREGATES
from mcts.budget import StopReason
from mcts.errors import InvalidRequest
from mcts.phases import backed_up
from mcts.ports import Continuation, PathScore, Step
from mcts.result import SearchResult, Task
from mcts.search import Search
from mcts.steps import ENDED, StepRule, whole
from mcts.stops import stopped
from mcts.strategies.beginnings import fall_back_on_beginnings
from mcts.strategies.one_step import is_blank, past_blank, step_bounds
from mcts.strategies.paths import Beam, PathOptions, Share
from mcts.strategy import Ports
from mcts.together import together
from mcts.tree import Node, Tree

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """The paths of one search, the tree that records them and how they grow.

    Args:
        search: The search.
        tree: Every path scored so far, a visit for each; its values are the paths' ranks.
        options: How paths grow.
        lookahead: Steps, at least 0, that are written on greedily from each new path before it is ranked.
        at_work: Bounds how many paths are extended at once.
    """

    search: Search
    tree: Tree
    options: PathOptions
    lookahead: int
    at_work: asyncio.Semaphore

    @property
    def root(self) -> Beam:
        """The path without steps."""
        return Beam(self.tree.root)

    @property
    def going(self) -> bool:
        """Whether no limit was met and nothing failed so far."""
        return self.search.reason is None and self.search.failure is None

    async def advance(self, shares: Sequence[Share]) -> list[Beam]:
        """Extends paths, all at once, until the last is done or the search has met a limit.

        Returns:
            The new paths in the order of those they extend, whatever the order of replies.
        """
        grown: list[list[Beam]] = [[] for _ in shares]

        async def extend(number: int) -> None:
            beam, copies = shares[number]
            grown[number] = await self.extend(beam, copies)

        await self.search.run([functools.partial(extend, number) for number in range(len(shares))])
        return [beam for beams in grown for beam in beams]

    async def extend(self, beam: Beam, copies: int, purpose: str = "step") -> list[Beam]:
        """Draws continuations of a path by one step each and scores them.

        Args:
            beam: An open path.
            copies: How many continuations are wanted, 1 to 256.
            purpose: What for; a path that is extended twice needs another purpose each time.

        Returns:
            The new paths, equal ones included. Fewer than wanted where the token budget ends (which ends the search)
            and where the model writes nothing but white space.

        Raises:
            EngineError, RewardError: A call failed for good.
        """
        async with self.at_work:
            last = beam.node.depth + 1 >= self.options.max_depth
            steps = beam.steps
            new = await self._written(steps, copies, None if last else self.options.step, purpose)
            ahead = await self._ahead(steps, new, purpose)
            grown = await self._scored(beam, new, ahead)
        self.search.simulation_done()
        return grown

    def set_aside(self, beam: Beam) -> None:
        """Makes a finished path a candidate. It keeps the rewards that it has."""
        score = PathScore(AGGREGATES[self.options.vote_aggregate](beam.rewards), beam.rewards)
        self.search.found(self.search.path(beam.steps), score, beam.steps, beam.node)

    def tell_exhausted(self, wanted: int) -> None:
        """Says that nothing was left to extend, where that left fewer candidates than wanted."""
        if self.going and len(self.search.candidates) < wanted:
            self.search.reason = StopReason.EXHAUSTED

    async def _written(
        self, steps: tuple[Step, ...], n: int, rule: StepRule | None, purpose: str, *, greedy: bool = False
    ) -> list[Step]:
        """``n`` steps that continue a path (all the rest of the text without a rule), none of them blank.

        A token budget may have room for some of them only, until others give back what they did not use: those that
        are missing are asked for again.
        """
        calls = self.search.calls
        prefix = (*self.search.task.prompt.token_ids, *(token for step in steps for token in step.token_ids))
        delimiters, limit = step_bounds(calls, rule, prefix) if rule else ((), calls.path_room(prefix))
        drawn: list[Continuation] = []
        while len(drawn) < n:
            missing, what = n - len(drawn), f"{purpose}/{len(drawn)}"
            more = await calls.sample(prefix, what, n=missing, max_tokens=limit, delimiters=delimiters, greedy=greedy)
            if not more:
                self.search.reason = StopReason.TOKENS
                break
            drawn.extend(more)
        if rule:
            drawn = await self._together(
                past_blank(calls, rule, prefix, steps, one, f"{purpose}/on/{i}", greedy=greedy)
                for i, one in enumerate(drawn)
            )
        else:
            drawn = [stopped(steps, one, calls.task.sampling) for one in drawn]
        return [whole(one) for one in drawn if not is_blank(one)]

    async def _ahead(self, steps: tuple[Step, ...], new: Sequence[Step], purpose: str) -> list[tuple[Step, ...]]:
        """What is looked ahead from each new path; equal paths are looked ahead from once."""
        if not self.lookahead:
            return [()] * len(new)
        distinct = {step.token_ids: step for step in new}
        looks = await self._together(self._looked_ahead((*steps, step), purpose) for step in distinct.values())
        seen = dict(zip(distinct, looks, strict=True))
        return [seen[step.token_ids] for step in new]

    async def _looked_ahead(self, steps: tuple[Step, ...], purpose: str) -> tuple[Step, ...]:
        """The next steps at temperature 0 (Snell et al., 2408.03314), as far as there is text and room for them."""
        path = list(steps)
        while len(path) < len(steps) + self.lookahead and path[-1].finish not in ENDED:
            written = sum(len(step.token_ids) for step in path)
            if written >= self.search.task.max_tokens:
                break
            more = await self._written(tuple(path), 1, self.options.step, f"{purpose}/ahead", greedy=True)
            if not more:
                break
            path += more
        return tuple(path[len(steps) :])

    async def _scored(self, beam: Beam, new: Sequence[Step], ahead: Sequence[tuple[Step, ...]]) -> list[Beam]:
        """Scores new paths, and what was looked ahead from them, in one call and records them in the tree.

        A step that is empty, since it only ends the text, is never scored: the one before it is instead, with it.
        """
        path, before = self.search.path, beam.steps
        paths = [path((*before, step), max(0, len(before) - _is_empty(step))) for step in new]
        looks = {i: path((*before, new[i], *more), len(before) + 1) for i, more in enumerate(ahead) if more}
        scores = await self.search.score([*paths, *looks.values()], beam.node.number)
        seen = dict(zip(looks, scores[len(paths) :], strict=True))
        grown = []
        for i, step in enumerate(new):
            rewards = _rewards(scores[i], beam.rewards[:-1] if _is_empty(step) else beam.rewards)
            rank = AGGREGATES[self.options.aggregate](_rewards(seen[i], rewards) if i in seen else rewards)
            grown.append(Beam(self._recorded(beam.node, step, rank), rewards, rank))
        if grown:
            self.tree.finish_expansion(beam.node)
        return grown

    def _recorded(self, parent: Node, step: Step, rank: float) -> Node:
        """Adds a step to the tree, where equal ones merge, and counts one visit."""
        self.tree.expand(parent)
        node = self.tree.child(parent, step)
        began = self.search.ports.clock()
        self.tree.backup(node, 1, rank)
        backed_up(self.search, node.number, rank, began)
        return node

    async def _together(self, calls: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
        """Runs the calls of one extension: at once, but one after the other in a search of width 1."""
        return await together(calls, at_once=self.options.width > 1)


def planted(task: Task, ports: Ports, options: PathOptions, name: str, lookahead: int = 0) -> Population:
    """A population of nothing but the root.

    Args:
        task: What is asked.
        ports: What the search works with.
        options: How paths grow.
        name: The strategy's name, for events and complaints.
        lookahead: Steps that are looked ahead before a path is ranked, at least 0.

    Raises:
        InvalidRequest: There is no reward.
    """
    search = Search(task, ports, name)
    if not search.scored:
        raise InvalidRequest(f"The strategy {name} needs a reward.", "search.reward")
    tree = Tree(options.max_depth, task.max_tokens, search.node_added)
    return Population(search, tree, options, lookahead, asyncio.Semaphore(options.width))


async def searched(population: Population, grow: Callable[[], Awaitable[None]]) -> SearchResult:
    """Grows a population and holds the vote, with the events of a search around it.

    Raises:
        As ``Strategy``.
    """
    search = population.search
    with population.tree.dissolved(), search.announced():
        search.node_added(population.tree.root)
        await grow()
        fall_back_on_beginnings(search, population.tree)
        return await search.result(population.options.vote, population.tree)


def _is_empty(step: Step) -> bool:
    """Whether a step only ends the text: a lone end-of-sequence token."""
    return not step.text.strip()


def _rewards(score: PathScore, before: Sequence[float]) -> tuple[float, ...]:
    """One reward per step, as the reward model tells them or, where it sees only the whole, one more each time."""
    return score.steps or (*before, score.value)
