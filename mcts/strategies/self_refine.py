"""MCTS Self-Refine (MCTSr; Zhang et al., 2406.07394): a tree of answers that are criticised, rewritten and graded.

The model is its own judge: no reward model, and no known answer anywhere. The numbers are in ``self_rewards``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace

from mcts.budget import StopReason
from mcts.events import Collision, PathScored
from mcts.grants import News
from mcts.options import require, require_between
from mcts.phases import backed_up, selected
from mcts.ports import Finish, Message, PathScore, Sampling
from mcts.result import SearchResult, Task
from mcts.search import Search
from mcts.strategies.answer_tree import Answer, AnswerTree, node_added
from mcts.strategies.conversation import (
    MOST_TURN_TOKENS,
    Conversation,
    NoRoom,
    begin_conversation,
    fall_back_on_unscored,
)
from mcts.strategies.growth import MOST_BRANCHES, MOST_EXPLORATION, MOST_WIDTH
from mcts.strategies.refine_prompts import CRITIQUE_REQUEST, GRADE_REQUEST, REWRITE_REQUEST, grade_request
from mcts.strategies.self_rewards import (
    own_value,
    read_score,
    refinable,
    rescaled,
    reward,
    suppressed,
    unit,
    upper_bound,
)
from mcts.strategy import Ports
from mcts.together import together
from mcts.votes import VOTES, VoteRule

GRADE_ATTEMPTS = 3
"""Tries at a grade that can be read. An answer without one is not valued: it is neither refined nor voted for."""

MOST_GRADINGS = 16
MOST_FIRST_ANSWERS = 64


@dataclass(frozen=True, slots=True)
class SelfRefineOptions:
    """Options of ``self_refine``.

    Args:
        width: Refinements in flight, 1 to 256. Higher values are faster and choose with less knowledge; 1 is exactly
            reproducible.
        first_answers: Answers written to the bare question, 1 to 64. Higher values depend less on a first idea.
        branch: Refinements after which an answer is left alone, once one of them is better than itself, 1 to 20.
        exploration: ``c`` of the selection formula, 0 to 1000. Higher values spread refinements more evenly.
        normalize: Whether values are rescaled by the tree's smallest and largest. Without, they lie in [-100, 100].
        gradings: Grades per visit, 1 to 16: of the new answer, and again of the one it was made from. Higher values
            judge more reliably and more harshly, since the worst grade counts most.
        critique_tokens: Most tokens of a critique, 1 to 100000. One that is cut is used as far as it goes.
        grade_tokens: Most tokens of a judgement, 1 to 100000. One that is cut cannot be read.
        critique_request: The turn that asks for the critique.
        rewrite_request: The turn that asks for the new answer.
        grade_request: What asks for a grade, after question and answer.
        vote: How the answer is picked; a candidate's reward is ``Q``, from its own grades.
    """

    width: int = 4
    first_answers: int = 2
    branch: int = 3
    exploration: float = 1.0
    normalize: bool = True
    gradings: int = 2
    critique_tokens: int = 512
    grade_tokens: int = 256
    critique_request: str = CRITIQUE_REQUEST
    rewrite_request: str = REWRITE_REQUEST
    grade_request: str = GRADE_REQUEST
    vote: VoteRule = "weighted"

    def __post_init__(self) -> None:
        require_between(self.width, 1, MOST_WIDTH, "search.width")
        require_between(self.first_answers, 1, MOST_FIRST_ANSWERS, "search.first_answers")
        require_between(self.branch, 1, MOST_BRANCHES, "search.branch")
        require_between(self.exploration, 0, MOST_EXPLORATION, "search.exploration")
        require_between(self.gradings, 1, MOST_GRADINGS, "search.gradings")
        require_between(self.critique_tokens, 1, MOST_TURN_TOKENS, "search.critique_tokens")
        require_between(self.grade_tokens, 1, MOST_TURN_TOKENS, "search.grade_tokens")
        for name in ("critique_request", "rewrite_request", "grade_request"):
            require(bool(getattr(self, name).strip()), f"search.{name} is empty.", f"search.{name}")
        require(self.vote in VOTES, f"search.vote must be one of {', '.join(VOTES)}.", "search.vote")

    def most_tokens(self, simulations: int, max_tokens: int) -> int:
        """Upper bound on the tokens that a search can generate.

        Args:
            simulations: Refinements.
            max_tokens: Tokens of one answer.
        """
        visit = self.gradings * GRADE_ATTEMPTS * self.grade_tokens
        refinement = self.critique_tokens + max_tokens + 2 * visit
        return self.first_answers * (max_tokens + visit) + simulations * refinement


MCTSR = SelfRefineOptions(
    width=1,  # the published search is sequential
    first_answers=1,  # section 3.1: one naive answer
    branch=3,  # released code: max_expand
    exploration=1.4,  # released code: C
    normalize=False,
    gradings=1,  # section 3.2: each visit samples one reward
    vote="max_value",  # our choice: the released code stops at the known answer
)
"""The reference preset, to be run with 8 refinements."""

MCTSR_SAMPLING = Sampling(temperature=0.95)
"""Of the released code."""


@dataclass(frozen=True, slots=True, eq=False)
class Refinery:
    """A tree of answers, the search it belongs to and how it grows."""

    search: Search
    tree: AnswerTree
    talk: Conversation
    options: SelfRefineOptions
    news: News = field(default_factory=News)

    def record(self, answer: Answer, score: float) -> None:
        """Adds a grade; with its first the answer is a candidate."""
        search, path, kept = self.search, answer.written, suppressed(score)
        began = search.ports.clock()
        reward(answer, kept)
        worth = unit(kept)
        search.emit(PathScored(answer.number, worth, (), path.finished, search.meter.seconds))
        if len(answer.rewards) == 1:
            backed_up(search, answer.number, worth, began)
            search.found(path, PathScore(worth), path.steps, answer)
        self.news.tell()


async def self_refine(task: Task, ports: Ports, options: SelfRefineOptions, name: str = "self_refine") -> SearchResult:
    """Refines answers until a limit is met or no answer can be refined, then holds the vote.

    Raises:
        InvalidRequest: The prompt is no chat.
        NoAnswerInTime: The budget ended before any answer was written.
        EngineError: The engine failed before any answer was written.
    """
    search = Search(task, ports, name, scored=False)
    tree = AnswerTree(lambda answer: search.emit(node_added(answer, search.meter.seconds)))
    refinery = Refinery(search, tree, begin_conversation(search), options)

    async def work() -> None:
        await _refinements(refinery)

    with tree.dissolved(), search.announced():
        search.emit(node_added(tree.question, search.meter.seconds))
        await search.run([work] * options.width)
        _revalue(refinery)
        return await search.result(options.vote, tree)


async def _refinements(refinery: Refinery) -> None:
    """Writes and refines, one after the other, until a limit is met. ``width`` of these run side by side."""
    search = refinery.search
    while search.meter.simulations_left and search.failure is None:
        began = search.ports.clock()
        chosen = select(refinery.tree, refinery.options)
        if chosen is None and not refinery.tree.in_flight:
            search.reason = search.reason or StopReason.EXHAUSTED
            return
        if chosen is None:
            search.emit(Collision(search.meter.seconds))
            await refinery.news.wait()
            continue
        selected(search, chosen.number, began)
        try:
            if chosen.path is None:
                await _write(refinery)
            else:
                search.meter.simulations += 1
                await _refine(refinery, chosen)
                search.simulation_done()
        except NoRoom:
            search.reason = StopReason.TOKENS
            return
        finally:
            refinery.news.tell()


def select(tree: AnswerTree, options: SelfRefineOptions) -> Answer | None:
    """What to work on next: the question while it lacks first answers, then the refinable answer of highest bound.

    All answers of the tree compete, wherever they stand; the first among equals wins. None when nothing is refinable
    now.
    """
    if tree.question.begun < options.first_answers:
        return tree.question
    scale = rescaled(tree.answers) if options.normalize else float
    choices = [answer for answer in tree.answers if refinable(answer, options.branch)]
    return max(choices, key=lambda answer: upper_bound(answer, options.exploration, scale), default=None)


async def _write(refinery: Refinery) -> None:
    """Writes a first answer and grades it. A blank one stays ungraded: there is nothing to judge."""
    tree = refinery.tree
    with tree.claimed(tree.question) as name:
        path = refinery.search.path(await refinery.talk.first(name))
        tree.question.visits += 1
        answer = tree.add(tree.question, name, path)
        if answer.text.strip():
            await _grade(refinery, answer)


async def _refine(refinery: Refinery, answer: Answer) -> None:
    """Makes a new answer from one that is there, and grades both: a parent is judged again with each child."""
    with refinery.tree.claimed(answer) as name:
        both = (functools.partial(_improve, refinery, answer, name), functools.partial(_grade, refinery, answer))
        await together((begin() for begin in both), at_once=refinery.options.width > 1)
        answer.visits += 1


async def _improve(refinery: Refinery, answer: Answer, name: str) -> None:
    """A new answer and its grade; where critique or rewriting came out blank the refinement was in vain."""
    options = refinery.options
    steps = await refinery.talk.rewritten(
        answer.written, name, options.critique_request, options.rewrite_request, options.critique_tokens
    )
    if steps is None:
        answer.closed = True
    elif steps:
        await _grade(refinery, refinery.tree.add(answer, name, refinery.search.path(steps)))


async def _grade(refinery: Refinery, answer: Answer) -> None:
    """One visit's grades, each recorded as it comes, so that a deadline finds whatever is there."""
    count = refinery.options.gradings
    purposes = [f"grade/{answer.name}/{answer.asked + i}" for i in range(count)]
    answer.asked += count
    await together((_grade_once(refinery, answer, each) for each in purposes), at_once=refinery.options.width > 1)


async def _grade_once(refinery: Refinery, answer: Answer, purpose: str) -> None:
    """One grade. A judgement without a score, or cut before its end, is asked for again, a few times at most.

    Where none can be read nothing is recorded: no number is put in a missing grade's place.
    """
    talk, options = refinery.talk, refinery.options
    turn = Message("user", grade_request(talk.question, answer.text, options.grade_request))
    for attempt in range(GRADE_ATTEMPTS):
        judgement = await talk.aside((turn,), f"{purpose}/{attempt}", options.grade_tokens)
        if judgement is None:
            return
        score = None if judgement.finish is Finish.LENGTH else read_score(judgement.text)
        if score is not None:
            refinery.record(answer, score)
            return


def _revalue(refinery: Refinery) -> None:
    """Gives the candidates what their own grades say at the end.

    That is ``Q``, not the ``Q'`` by which the search is led: an answer is no worse for a rewriting that spoilt it.
    """
    search, nodes = refinery.search, refinery.tree.nodes
    fall_back_on_unscored(search, refinery.tree)
    for i, candidate in enumerate(search.candidates):
        grades = nodes[candidate.node or 0].rewards
        search.candidates[i] = replace(candidate, reward=unit(own_value(grades)) if grades else None)
