"""The tree of one search: nodes, their statistics, visits in flight and rollouts kept for later. Calls nobody."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from mcts.grown import Dissolving
from mcts.ports import Step
from mcts.steps import ENDED

StepKey = tuple[tuple[int, ...], bool]
"""Equal steps merge: same token ids, and either both or neither end the answer."""


LEAST_PRIOR = 1e-9
"""Keeps a prior above 0, also for a token that was forced although the model had ruled it out."""


class State(StrEnum):
    """Where a node stands in its life."""

    FRESH = "fresh"  # a leaf that may be expanded
    EXPANDING = "expanding"  # a simulation is at work on it: whoever else arrives has a collision
    EXPANDED = "expanded"  # it has got its children
    TERMINAL = "terminal"  # an answer ends here, or the depth or token limit of the path is reached


@dataclass(frozen=True, slots=True, eq=False)
class Rollout:
    """What remains of a scored rollout below a node: steps that can become nodes without another engine call."""

    steps: tuple[Step, ...]
    reward: float


@dataclass(slots=True, eq=False)
class Node:
    """A path plus its statistics. The root stands for the prompt and has no step."""

    # Fixed.
    number: int
    parent: Node | None
    step: Step | None
    depth: int
    tokens: int  # of the path from the root to here
    prior: float  # exp(mean log-probability of the step's tokens), in (0, 1]; 1 for the root and forced phrases
    state: State

    # Changing during the search.
    visits: int = 0
    value_sum: float = 0.0
    in_flight: int = 0
    children: dict[StepKey, Node] = field(default_factory=dict)
    rollouts: list[Rollout] = field(default_factory=list)
    drawn: int = 0  # continuations that began here, equal ones included
    open_children: int = 0  # children that are not exhausted
    exhausted: bool = False  # nothing below can be expanded any more
    prior_sum: float = 0.0  # over the children

    @property
    def value(self) -> float:
        """Mean reward ``Q = W / N`` of the visits; 0 when unvisited."""
        return self.value_sum / self.visits if self.visits else 0.0

    @property
    def ended(self) -> bool:
        """Whether an answer ends here: what stands below are second thoughts, and nothing else can be added."""
        return self.step is not None and self.step.finish in ENDED

    def lineage(self) -> Iterator[Node]:
        """This node, its parent, and so on to the root."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    def steps(self) -> tuple[Step, ...]:
        """The steps from the root to here."""
        return tuple(node.step for node in self.lineage() if node.step is not None)[::-1]


def step_key(step: Step) -> StepKey:
    """By what equal steps are recognised."""
    return step.token_ids, step.finish in ENDED


def begins_with(steps: Sequence[Step], beginning: Sequence[Step]) -> bool:
    """Whether a path begins with equal steps."""
    pairs = zip(steps, beginning, strict=False)
    return len(steps) >= len(beginning) and all(step_key(one) == step_key(other) for one, other in pairs)


def step_prior(step: Step) -> float:
    """Length-normalised likelihood of a step: exp of the mean log-probability of its tokens (TS-LLM, 2309.17179)."""
    if not len(step.logprobs):
        return 1.0
    return max(LEAST_PRIOR, math.exp(min(0.0, float(np.mean(step.logprobs)))))


def _ignore(_: Node) -> None:
    return None


class Tree(Dissolving):
    """All nodes of one search.

    Args:
        max_depth: Edges from the root at which a path becomes terminal.
        max_tokens: Tokens of a path at which it becomes terminal.
        on_new: Told about every new node but the root, its first visits already set.
    """

    def __init__(self, max_depth: int, max_tokens: int, on_new: Callable[[Node], None] = _ignore) -> None:
        self.max_depth = max_depth
        self.max_tokens = max_tokens
        self.root = Node(0, None, None, depth=0, tokens=0, prior=1.0, state=State.FRESH)
        self.nodes: list[Node] = [self.root]
        self.depth = 0
        self.smallest = math.inf  # rewards seen so far
        self.largest = -math.inf
        self._on_new = on_new

    def rescaled(self, value: float) -> float:
        """A value on a scale where the tree's smallest reward is 0 and its largest 1; 0.5 while they are equal."""
        spread = self.largest - self.smallest
        return (value - self.smallest) / spread if spread > 0 else 0.5

    @contextmanager
    def in_flight(self, node: Node, visits: int) -> Iterator[None]:
        """Counts ``visits`` expected rollouts from a node to the root, and takes them back whatever happens."""
        for ancestor in node.lineage():
            ancestor.in_flight += visits
        try:
            yield
        finally:
            for ancestor in node.lineage():
                ancestor.in_flight -= visits

    @contextmanager
    def claimed(self, leaf: Node, visits: int) -> Iterator[None]:
        """Keeps other simulations off a leaf while it is at work; a leaf not expanded meanwhile is fresh again."""
        leaf.state = State.EXPANDING
        try:
            with self.in_flight(leaf, visits):
                yield
        finally:
            if leaf.state is State.EXPANDING:
                leaf.state = State.FRESH

    def expand(self, leaf: Node) -> None:
        """Gives a leaf its children as far as they are known: the next steps of its kept rollouts, equal ones merged.

        Their visits and rewards are those of the rollouts and have long been counted above.
        """
        leaf.state = State.EXPANDED
        leaf.drawn += len(leaf.rollouts)
        groups: dict[StepKey, list[Rollout]] = {}
        for rollout in leaf.rollouts:
            groups.setdefault(step_key(rollout.steps[0]), []).append(rollout)
        leaf.rollouts = []
        for rollouts in groups.values():
            value_sum = math.fsum(rollout.reward for rollout in rollouts)
            child = self._add(leaf, rollouts[0].steps[0], len(rollouts), value_sum)
            for rollout in rollouts:
                self._keep(child, Rollout(rollout.steps[1:], rollout.reward))

    def finish_expansion(self, leaf: Node) -> None:
        """Ends an expansion to which no further children will be added now."""
        if not leaf.open_children and not leaf.exhausted:
            self._exhaust(leaf)

    def child(self, parent: Node, step: Step) -> Node:
        """The child that a step leads to, added without visits when it is new."""
        return parent.children.get(step_key(step)) or self._add(parent, step, 0, 0.0)

    def attach(self, node: Node, rollout: Rollout) -> Node:
        """Adds a rollout below an expanded node: one visit for every node it passes, the rest of it kept.

        Returns:
            The deepest node of the tree on the rollout's path, from which the reward was backed up.
        """
        steps = rollout.steps
        while steps and node.state is State.EXPANDED:
            node, steps = self.child(node, steps[0]), steps[1:]
        self.backup(node, 1, rollout.reward)
        return self._keep(node, Rollout(steps, rollout.reward))

    def backup(self, node: Node, visits: int, value: float) -> None:
        """Adds visits and the sum of their rewards to every node from here to the root: ``N += n``, ``W += value``."""
        mean = value / visits
        self.smallest = min(self.smallest, mean)
        self.largest = max(self.largest, mean)
        for ancestor in node.lineage():
            ancestor.visits += visits
            ancestor.value_sum += value

    def locate(self, steps: Sequence[Step]) -> Node:
        """The deepest node on a path."""
        node = self.root
        for step in steps:
            child = node.children.get(step_key(step))
            if child is None:
                break
            node = child
        return node

    def _keep(self, node: Node, rollout: Rollout) -> Node:
        """Keeps what remains of a rollout, unless the depth limit leaves it no room."""
        if not rollout.steps or node.depth >= self.max_depth:
            return node
        node.rollouts.append(rollout)
        if node.state is State.TERMINAL:  # a finished answer that is being continued: second thoughts
            self.expand(node)
        return node

    def _add(self, parent: Node, step: Step, visits: int, value_sum: float) -> Node:
        depth, tokens = parent.depth + 1, parent.tokens + len(step.token_ids)
        terminal = step.finish in ENDED or depth >= self.max_depth or tokens >= self.max_tokens
        state = State.TERMINAL if terminal else State.FRESH
        node = Node(len(self.nodes), parent, step, depth, tokens, step_prior(step), state, visits, value_sum)
        node.exhausted = terminal
        parent.children[step_key(step)] = node
        parent.prior_sum += node.prior
        self.nodes.append(node)
        self.depth = max(self.depth, depth)
        if not terminal:
            self._reopen(parent)
        self._on_new(node)
        return node

    def _exhaust(self, node: Node) -> None:
        """Marks a node, and each ancestor that thereby has nothing left, in time proportional to the depth."""
        node.exhausted = True
        parent = node.parent
        while parent is not None:
            parent.open_children -= 1
            if parent.open_children or parent.state is not State.EXPANDED:
                return
            parent.exhausted = True
            parent = parent.parent

    def _reopen(self, node: Node) -> None:
        """Counts a new open child, reviving ancestors that had nothing left."""
        node.open_children += 1
        while node.exhausted:
            node.exhausted = False
            if node.parent is None:
                return
            node = node.parent
            node.open_children += 1
