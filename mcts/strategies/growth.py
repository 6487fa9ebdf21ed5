"""What one growing tree consists of, and its settings. Shared by the ways to expand and by the loop."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from mcts.grants import News
from mcts.options import require, require_between
from mcts.phases import backed_up
from mcts.ports import Step
from mcts.search import Search
from mcts.steps import StepRule, open_ended
from mcts.together import together
from mcts.tree import Node, Rollout, Tree
from mcts.votes import VOTES, VoteRule

Result = TypeVar("Result")

MOST_WIDTH = 256
MOST_BRANCHES = 20  # engines report at most that many likeliest tokens
MOST_DEPTH = 512  # the descent is recursive
MOST_EXPLORATION = 1000.0
MOST_IN_BLOCK = 1_000_000


@dataclass(frozen=True, slots=True)
class Reflection:
    """A phrase after which a finished answer is thought over again.

    Args:
        text: The phrase, as it stands in the answer's text.
        token_ids: The phrase in the model's tokens; at least one.
    """

    text: str
    token_ids: tuple[int, ...]

    def __post_init__(self) -> None:
        require(bool(self.token_ids), "The reflection phrase is empty.", "search.reflection")


@dataclass(frozen=True, slots=True)
class UctOptions:
    """Options of ``uct``.

    Args:
        width: Simulations in flight, 1 to 256. Higher values are faster and choose with less knowledge; 1 is exactly
            reproducible, since then each call waits for the one before.
        branch: Continuations that an expanded leaf has, 1 to 20. Higher values make trees wider and each simulation
            dearer.
        max_depth: Edges from the root at which a path is no longer expanded, 1 to 512.
        exploration: ``c`` of the selection formula, 0 to 1000. Higher values spread visits more evenly.
        normalize: Whether values are rescaled by the smallest and largest reward seen in the tree.
        selection: ``ucb1`` or ``puct``.
        step: What one edge is.
        rollout: ``full`` rolls out to the end of the answer; ``none`` generates one step and values it by the reward.
        expansion: ``sample`` draws the continuations; ``top_tokens`` starts them from the likeliest next tokens.
        joint: Whether expansion and rollout are one call whose rollouts are kept for reuse. Without, children are
            sampled step by step and one of them is rolled out, as in textbook UCT.
        widening: Exponent of progressive widening, 0 to 1: nodes visited often are given further branches, and so is
            the root when nothing else is left to expand. Higher values make trees wider; 0 expands every node once.
        reflection: Phrase for second thoughts about finished answers; None for none.
        vote: How the answer is picked.
        commit: Simulations after which the best first step is committed: told as certain, and searched on from. 1 to
            1,000,000; higher values decide with more knowledge and let the text flow later. None commits nothing.
    """

    width: int = 8
    branch: int = 4
    max_depth: int = 32
    exploration: float = 1.0
    normalize: bool = True
    selection: Literal["ucb1", "puct"] = "ucb1"
    step: StepRule = field(default_factory=StepRule)
    rollout: Literal["full", "none"] = "full"
    expansion: Literal["sample", "top_tokens"] = "sample"
    joint: bool = True
    widening: float = 0.5
    reflection: Reflection | None = None
    vote: VoteRule = "weighted"
    commit: int | None = None

    def __post_init__(self) -> None:
        require_between(self.width, 1, MOST_WIDTH, "search.width")
        require_between(self.branch, 1, MOST_BRANCHES, "search.branch")
        require_between(self.max_depth, 1, MOST_DEPTH, "search.max_depth")
        require_between(self.exploration, 0, MOST_EXPLORATION, "search.exploration")
        require_between(self.widening, 0, 1, "search.widening")
        require(self.selection in ("ucb1", "puct"), "search.selection must be ucb1 or puct.", "search.selection")
        require(self.rollout in ("full", "none"), "search.rollout must be full or none.", "search.rollout")
        known = self.expansion in ("sample", "top_tokens")
        require(known, "search.expansion must be sample or top_tokens.", "search.expansion")
        require(self.vote in VOTES, f"search.vote must be one of {', '.join(VOTES)}.", "search.vote")
        if self.commit is not None:
            require_between(self.commit, 1, MOST_IN_BLOCK, "search.commit")
        if not self.joint:
            require(self.rollout == "full", "Separate expansion needs full rollouts.", "search.rollout")
            require(self.widening == 0, "Separate expansion does not widen.", "search.widening")

    @property
    def one_step(self) -> bool:
        """Whether an expansion asks the engine for single steps rather than whole answers."""
        return self.rollout == "none" or not self.joint


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """A tree, the search it belongs to and how it grows."""

    search: Search
    tree: Tree
    options: UctOptions
    news: News = field(default_factory=News)  # told whenever other leaves may have become selectable
    reflected: set[tuple[int, ...]] = field(default_factory=set)  # finished paths thought over already

    async def together(self, calls: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
        """Runs the calls of one simulation: at once, but one after the other in a search of width 1.

        At once, the order of replies would decide who gets the last tokens of a budget.
        """
        return await together(calls, at_once=self.options.width > 1)

    def prefix(self, steps: tuple[Step, ...]) -> tuple[int, ...]:
        """Token ids of the prompt and of steps that are to be continued."""
        tokens = (token for step in open_ended(steps) for token in step.token_ids)
        return (*self.search.task.prompt.token_ids, *tokens)

    def attach(self, node: Node, steps: tuple[Step, ...], reward: float) -> Node:
        """Adds a rollout to the tree and reports the visit.

        Returns:
            The deepest node on it.
        """
        began = self.search.ports.clock()
        last = self.tree.attach(node, Rollout(steps, reward))
        backed_up(self.search, last.number, reward, began)
        return last

    def back_up(self, node: Node, reward: float) -> None:
        """Counts a visit whose rollout is not kept."""
        began = self.search.ports.clock()
        self.tree.backup(node, 1, reward)
        backed_up(self.search, node.number, reward, began)
