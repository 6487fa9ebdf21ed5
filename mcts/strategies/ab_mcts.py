"""AB-MCTS-A (Inoue et al., 2503.04412): Thompson sampling decides at every node whether to go wider or deeper.

Wider is another answer from here (GEN): a fresh one at the question, elsewhere a rewriting of the answer. Deeper is to
go on from one of the answers made from here (CONT). Scores come from the reward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mcts.budget import StopReason
from mcts.errors import InvalidRequest
from mcts.options import require, require_between
from mcts.phases import backed_up, selected
from mcts.ports import PathScore, Step
from mcts.result import SearchResult, Task
from mcts.search import Search
from mcts.seeds import derive_seed
from mcts.strategies.answer_tree import Answer, AnswerTree, node_added
from mcts.strategies.conversation import (
    MOST_TURN_TOKENS,
    Conversation,
    NoRoom,
    begin_conversation,
    fall_back_on_unscored,
)
from mcts.strategies.growth import MOST_WIDTH
from mcts.strategies.refine_prompts import CRITIQUE_REQUEST, REWRITE_REQUEST
from mcts.strategies.thompson import PRIORS, Belief
from mcts.strategy import Ports
from mcts.votes import VOTES, VoteRule


@dataclass(frozen=True, slots=True)
class AbMctsOptions:
    """Options of ``ab_mcts``.

    Args:
        width: Answers being written at once, 1 to 256. Higher values are faster and make trees wider, since the first
            of them know nothing of each other; 1 is exactly reproducible.
        prior: ``gaussian`` (the paper's) or ``beta``.
        critique_tokens: Most tokens of a critique, 1 to 100000. One that is cut is used as far as it goes.
        critique_request: The turn that asks for the critique of an answer.
        rewrite_request: The turn that asks for the new answer.
        vote: How the answer is picked.
    """

    width: int = 4
    prior: Literal["gaussian", "beta"] = "gaussian"
    critique_tokens: int = 512
    critique_request: str = CRITIQUE_REQUEST
    rewrite_request: str = REWRITE_REQUEST
    vote: VoteRule = "max_value"

    def __post_init__(self) -> None:
        require_between(self.width, 1, MOST_WIDTH, "search.width")
        require(self.prior in PRIORS, f"search.prior must be one of {', '.join(PRIORS)}.", "search.prior")
        require_between(self.critique_tokens, 1, MOST_TURN_TOKENS, "search.critique_tokens")
        for name in ("critique_request", "rewrite_request"):
            require(bool(getattr(self, name).strip()), f"search.{name} is empty.", f"search.{name}")
        require(self.vote in VOTES, f"search.vote must be one of {', '.join(VOTES)}.", "search.vote")

    def most_tokens(self, simulations: int, max_tokens: int) -> int:
        """Upper bound on the tokens that a search can generate: a critique and an answer per simulation."""
        return simulations * (self.critique_tokens + max_tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Branching:
    """A tree of answers, the search it belongs to and how it grows."""

    search: Search
    tree: AnswerTree
    talk: Conversation
    options: AbMctsOptions
    chance: np.random.Generator

    def record(self, answer: Answer, score: PathScore) -> None:
        """Adds an answer's score: to itself, and to what is known of everything above it."""
        search, path = self.search, answer.written
        began = search.ports.clock()
        answer.rewards.append(score.value)
        for node in answer.above():
            node.below.append(score.value)
        backed_up(search, answer.number, score.value, began)
        search.found(path, score, path.steps, answer)


async def ab_mcts(task: Task, ports: Ports, options: AbMctsOptions) -> SearchResult:
    """Writes answers, wider or deeper, until a limit is met, then holds the vote.

    Raises:
        InvalidRequest: The prompt is no chat, or there is no reward.
        NoAnswerInTime: The budget ended before any answer was written.
        EngineError, RewardError: An engine failed before any answer was scored.
    """
    search = Search(task, ports, "ab_mcts")
    if not search.scored:
        raise InvalidRequest("The strategy ab_mcts needs a reward.", "search.reward")
    chance = np.random.default_rng(derive_seed(task.seed, "thompson", task.prompt.token_ids))
    tree = AnswerTree(lambda answer: search.emit(node_added(answer, search.meter.seconds)))
    growth = Branching(search, tree, begin_conversation(search), options, chance)

    async def work() -> None:
        await _simulations(growth)

    with tree.dissolved(), search.announced():
        search.emit(node_added(tree.question, search.meter.seconds))
        await search.run([work] * options.width)
        if search.failure is None:
            fall_back_on_unscored(search, tree)
        return await search.result(options.vote, tree)


async def _simulations(growth: Branching) -> None:
    """Writes answers one after the other until a limit is met. ``width`` of these run side by side, none waits."""
    search = growth.search
    while search.meter.simulations_left and search.failure is None:
        search.meter.simulations += 1
        began = search.ports.clock()
        parent = choose(growth.tree.question, PRIORS[growth.options.prior], growth.chance)
        selected(search, parent.number, began)
        try:
            await _generate(growth, parent)
        except NoRoom:
            search.reason = StopReason.TOKENS
            return
        search.simulation_done()


def choose(question: Answer, prior: Belief, chance: np.random.Generator) -> Answer:
    """Where to write the next answer from: down from the question until GEN is drawn above CONT, or nothing is below.

    At each node the belief about GEN rests on the scores of the answers made from it, that about CONT on the scores
    of those further down, and that about each child on the scores below that child, its own not among them
    (TreeQuest). Answers in flight count in all of them as ``Belief.awaiting`` says.
    """
    node = question
    while True:
        children = [child for child in node.children if _alive(child)]
        if not children or (not node.closed and _wider(node, children, prior, chance)):
            return node
        node = _likeliest(children, lambda child: prior.after(child.below).awaiting(child.in_flight_within), chance)


def _wider(node: Answer, children: Sequence[Answer], prior: Belief, chance: np.random.Generator) -> bool:
    """Whether GEN is drawn at least as high as CONT."""
    made = [child.rewards[0] for child in node.children if child.rewards]
    deeper = [score for child in children for score in child.below]
    generate = prior.after(made).awaiting(node.in_flight).draw(chance)
    go_on = prior.after(deeper).awaiting(sum(child.in_flight_within for child in children)).draw(chance)
    return generate >= go_on


def _likeliest(children: Sequence[Answer], belief: Callable[[Answer], Belief], chance: np.random.Generator) -> Answer:
    """The child with the highest draw, the first among equals."""
    draws = [belief(child).draw(chance) for child in children]
    return children[draws.index(max(draws))]


def _alive(answer: Answer) -> bool:
    """Whether an answer has a score and further ones can be made from it, or from one below it."""
    return bool(answer.rewards) and (not answer.closed or any(_alive(child) for child in answer.children))


async def _generate(growth: Branching, parent: Answer) -> None:
    """Writes an answer from a node and scores it. A blank one is not scored: some rewards would praise its brevity."""
    search, options = growth.search, growth.options
    with growth.tree.claimed(parent) as name:
        if parent.path is None:
            steps: tuple[Step, ...] | None = await growth.talk.first(name)
        else:
            steps = await growth.talk.rewritten(
                parent.written, name, options.critique_request, options.rewrite_request, options.critique_tokens
            )
        parent.visits += 1
        if steps is None:
            parent.closed = True
        if not steps:
            return
        path = search.path(steps)
        answer = growth.tree.add(parent, name, path)
        if path.text.strip():
            (score,) = await search.score([path], answer.number)
            growth.record(answer, score)
