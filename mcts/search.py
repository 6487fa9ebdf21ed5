"""One search under way: its candidates, its limits, its events and its end. What all strategies share.

A strategy runs its work through ``Search.run``, reports candidates through ``Search.found`` and ends with
``Search.result``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from mcts.budget import Meter, StopReason
from mcts.calls import Calls
from mcts.errors import EngineDead, EngineError, NoAnswerInTime, OutOfTokens, RewardDead, RewardError
from mcts.events import (
    AnswerFound,
    AnswerText,
    Committed,
    Event,
    NodeAdded,
    Observers,
    PathScored,
    SearchFinished,
    SearchStarted,
    SimulationDone,
)
from mcts.grown import Grown, Numbered
from mcts.ports import Path, PathScore, Step
from mcts.result import Candidate, SearchResult, Tally, Task
from mcts.scoring import scored
from mcts.steps import ENDED, spliced
from mcts.stops import certain
from mcts.strategy import Ports
from mcts.together import caught
from mcts.tree import Node, begins_with
from mcts.votes import Leader, VoteRule, elect

Work = Callable[[], Awaitable[None]]


class _Stop(Exception):
    """Raised in one task of a search to end the others."""


class Search:
    """The state of one search.

    Args:
        task: What is asked.
        ports: What it works with.
        strategy: Its name, for events.
        scored: Whether candidates are scored; without, the reward port is left alone.
    """

    def __init__(self, task: Task, ports: Ports, strategy: str, *, scored: bool = True) -> None:
        self.task = task
        self.ports = ports
        self.strategy = strategy
        self.meter = Meter(task.budget, ports.clock)
        self.observe = Observers(ports.observe)
        self.calls = Calls(task, ports.engine, ports.reward if scored else None, self.meter, self.observe, ports.clock)
        self.candidates: list[Candidate] = []
        self.reason: StopReason | None = None
        self.failure: EngineError | RewardError | None = None
        self.done = 0
        self._leader = Leader()
        self._tree_steps: list[tuple[Step, ...]] = []
        self._committed: tuple[Step, ...] = ()
        self._told = 0  # characters of what was committed
        self._unscored: list[Path] = []  # finished paths whose scores are still to come

    @property
    def scored(self) -> bool:
        """Whether candidates are scored."""
        return self.calls.reward is not None

    @property
    def stop_reason(self) -> StopReason:
        """Why it ended, or would end now."""
        if self.failure:
            return StopReason.FAILED
        spent = StopReason.TOKENS if self.calls.short_of_tokens else StopReason.SIMULATIONS
        return self.reason or spent

    def emit(self, event: Event) -> None:
        """Tells the observers."""
        self.observe(event)

    @contextmanager
    def announced(self) -> Iterator[None]:
        """Announces the beginning, and the end of a search that gives no result."""
        self.emit(SearchStarted(self.strategy, self.task.budget.simulations, self.meter.seconds))
        try:
            yield
        except asyncio.CancelledError:
            self._announce_end(StopReason.CANCELLED)
            raise
        except Exception:
            reason = self.stop_reason
            self._announce_end(StopReason.FAILED if reason is StopReason.SIMULATIONS else reason)
            raise

    async def run(self, work: Sequence[Work]) -> None:
        """Runs tasks until all are done or a limit is met, whichever comes first; then none of them runs any more.

        When a call fails for good the open calls are cancelled if there is a candidate to give or the engine is dead;
        otherwise they may still bring one.
        """
        limit = asyncio.timeout(self.meter.seconds_left)
        try:
            async with limit, self.ports.curfew.over(limit), asyncio.TaskGroup() as group:
                for one in work:
                    group.create_task(self._guarded(one))
        except TimeoutError:
            if not limit.expired():
                raise
            self.reason = StopReason.DEADLINE
        except BaseExceptionGroup as errors:
            fault = next((error for error in caught(errors) if not isinstance(error, _Stop)), None)
            if fault is not None:
                raise fault from None

    def stop(self, reason: StopReason) -> None:
        """Ends the search at once, from within one of its tasks: the other tasks are cancelled.

        Raises:
            _Stop: Always; it is caught by ``run``.
        """
        self.reason = reason
        raise _Stop

    async def _guarded(self, work: Work) -> None:
        try:
            await work()
        except OutOfTokens:
            self.reason = StopReason.TOKENS
        except (EngineError, RewardError) as error:
            self.failure = self.failure or error
            if self.candidates or isinstance(error, EngineDead | RewardDead):
                raise _Stop from error

    def path(self, steps: Sequence[Step], scored_from: int = 0) -> Path:
        """Steps of a tree as a path to be scored; it is finished when the model had nothing to add."""
        finished = bool(steps) and steps[-1].finish in ENDED
        return Path(self.task.prompt, spliced(steps), scored_from, finished)

    async def score(self, paths: Sequence[Path], node: int | None = None) -> list[PathScore]:
        """Scores paths, equal ones once, and reports each."""
        keys = [(path.token_ids, path.finished, path.scored_from) for path in paths]
        distinct = dict(zip(keys, paths, strict=True))
        if not distinct:
            return []
        finished = [path for path in paths if path.finished]
        self._unscored += finished  # equal ones included: each is a vote
        scores = dict(zip(distinct, await scored(self.calls, list(distinct.values())), strict=True))
        self._unscored = [path for path in self._unscored if path not in finished]
        seconds = self.meter.seconds
        for key, path in zip(keys, paths, strict=True):
            score = scores[key]
            self.emit(PathScored(node, score.value, score.steps, path.finished, seconds, score.critique))
        return [scores[key] for key in keys]

    def found(
        self, path: Path, score: PathScore | None, steps: tuple[Step, ...] = (), node: Numbered | None = None
    ) -> None:
        """Adds a candidate.

        Args:
            path: The path.
            score: What it is worth, None when nothing is scored.
            steps: Its steps as the tree knows them; empty outside trees.
            node: The deepest node on it, None outside trees.
        """
        number = node.number if node else None
        reward = score.value if score else None
        answer = self.ports.answers.extract(path.text)
        candidate = Candidate(path, answer, reward, score.steps if score else (), number)
        self.candidates.append(candidate)
        self._tree_steps.append(steps)
        if begins_with(steps, self._committed):
            self._leader.add(candidate)
        self.emit(AnswerFound(number, answer, path.text, reward, self.meter.seconds))

    def fall_back_on_unscored(self) -> None:
        """Where a limit kept all finished paths from being scored, they are candidates without a reward, blanks last.

        Not when a call failed: the caller should learn of the failure.
        """
        if not self.candidates and not self.failure:
            for path in sorted(self._unscored, key=lambda each: not each.text.strip()):
                self.found(path, None, path.steps)

    @property
    def leading(self) -> str | None:
        """The answer in front, by the running tally."""
        return self._leader.answer

    def through(self, node: Node) -> list[Candidate]:
        """The finished candidates that pass through a node."""
        return [each for each in self._beginning(node.steps(), self.candidates) if each.path.finished]

    def commit(self, node: Node) -> None:
        """Decides that the answer begins with the path to a node, and tells the text that this adds.

        From now on only candidates that begin so take part in the vote. A finished one must exist already, and the
        node be a child of the one committed before, or of the root. An end that might begin a stop text waits.
        """
        new = node.steps()[len(self._committed) :]
        self._committed = node.steps()
        self._leader = Leader()
        for candidate in self._beginning(self._committed, self.candidates):
            self._leader.add(candidate)
        seconds = self.meter.seconds
        self.emit(Committed(node.number, node.depth, node.visits, node.value_sum, seconds))
        text = certain(self._committed, () if node.ended else self.task.sampling.stop)[self._told :]
        if text:
            self._told += len(text)
            self.emit(AnswerText(text, sum(len(step.token_ids) for step in new), seconds))

    def _beginning(self, begun: tuple[Step, ...], candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those of all candidates, given in their order, that begin with some steps."""
        pairs = zip(candidates, self._tree_steps, strict=True)
        return [candidate for candidate, steps in pairs if begins_with(steps, begun)]

    def simulation_done(self) -> None:
        """Counts a completed simulation or sample."""
        self.done += 1
        self.emit(SimulationDone(self.done, self._leader.answer, self._leader.weight, self.meter.seconds))

    def node_added(self, node: Node) -> None:
        """Reports a new node of the tree."""
        step = node.step
        self.emit(
            NodeAdded(
                node=node.number,
                parent=node.parent.number if node.parent else None,
                depth=node.depth,
                text=step.text if step else "",
                tokens=len(step.token_ids) if step else 0,
                terminal=node.exhausted,
                prior=node.prior,
                seconds=self.meter.seconds,
                visits=node.visits,
                value=node.value_sum,
                steps=(step,) if step else (),
            )
        )

    async def result(self, vote: VoteRule, tree: Grown | None = None) -> SearchResult:
        """Holds the vote and announces the end.

        Raises:
            EngineError, RewardError: What failed before any candidate existed.
            NoAnswerInTime: The budget ended before any candidate existed.
        """
        self.fall_back_on_unscored()
        if not self.candidates:
            raise self.failure or NoAnswerInTime("The budget ended before any answer was found.")
        candidates = self._placed(tree)
        election = await elect(self._beginning(self._committed, candidates), vote, self.task.n, self.ports.answers)
        return self.concluded(election.winners, candidates, election.tallies, tree)

    def concluded(
        self,
        winners: tuple[Candidate, ...],
        candidates: tuple[Candidate, ...],
        tallies: tuple[Tally, ...],
        tree: Grown | None = None,
    ) -> SearchResult:
        """Puts the result together and announces the end."""
        reason = self.stop_reason
        self._announce_end(reason, winners[0])
        return SearchResult(
            winners=winners,
            candidates=candidates,
            tallies=tallies,
            stop_reason=reason,
            simulations=self.done,
            generated_tokens=self.meter.generated_tokens,
            cached_tokens=self.meter.cached_tokens,
            engine_calls=self.meter.engine_calls,
            reward_calls=self.meter.reward_calls,
            nodes=len(tree.nodes) if tree else 0,
            depth=tree.depth if tree else 0,
            seconds=self.meter.seconds,
        )

    def _placed(self, tree: Grown | None) -> tuple[Candidate, ...]:
        """Candidates with the nodes they end in as the tree stands now, and those nodes' visits."""
        if tree is None:
            return tuple(self.candidates)
        nodes = [tree.locate(steps) for steps in self._tree_steps]
        pairs = zip(self.candidates, nodes, strict=True)
        return tuple(replace(candidate, node=node.number, visits=node.visits) for candidate, node in pairs)

    def _announce_end(self, reason: StopReason, winner: Candidate | None = None) -> None:
        answer, node = (winner.answer, winner.node) if winner else (None, None)
        self.emit(SearchFinished(reason, answer, node, self.meter.seconds))
