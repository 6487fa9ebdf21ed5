"""UCT over the steps of an answer: the loop that keeps ``width`` simulations in flight, without a barrier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcts.budget import StopReason
from mcts.errors import InvalidRequest
from mcts.events import Collision
from mcts.phases import selected
from mcts.result import SearchResult, Task
from mcts.search import Search
from mcts.selection import descend, progressive_widening, puct, ucb1
from mcts.strategies.beginnings import fall_back_on_beginnings
from mcts.strategies.commitment import Trunk
from mcts.strategies.growth import Growth, UctOptions
from mcts.strategies.simulation import simulate, simulate_separately
from mcts.strategy import Ports
from mcts.tree import Node, State, Tree

FRUITLESS_SETS = 3
"""Further sets of branches, one after the other without a new node, after which a tree counts as exhausted.

Where a model takes one path nine times in ten, a set of four repeats it with probability 0.9^4 = 0.66: after one set
such a tree would often be given up too early, after three it is with probability 0.66^3 = 0.28.
"""


async def uct(task: Task, ports: Ports, options: UctOptions, name: str = "uct") -> SearchResult:
    """Grows one tree until a limit is met or nothing is left to expand, then holds the vote.

    Raises:
        InvalidRequest: There is no reward.
        NoAnswerInTime: The budget ended before any candidate existed.
        EngineError, RewardError: An engine failed before any candidate existed.
    """
    search = Search(task, ports, name)
    if not search.scored:
        raise InvalidRequest(f"The strategy {name} needs a reward.", "search.reward")
    tree = Tree(options.max_depth, task.max_tokens, search.node_added)
    growth = Growth(search, tree, options)

    trunk = Trunk(search, tree, options.commit)
    select = _selection(growth, trunk)

    async def work() -> None:
        await _simulations(growth, trunk, select)

    with tree.dissolved(), search.announced():
        search.node_added(tree.root)
        await search.run([work] * options.width)
        fall_back_on_beginnings(search, tree)
        return await search.result(options.vote, tree)


async def _simulations(growth: Growth, trunk: Trunk, select: Callable[[], Node | None]) -> None:
    """Runs simulations one after the other until a limit is met. ``width`` of these run side by side."""
    search = growth.search
    simulation = simulate if growth.options.joint else simulate_separately
    while search.meter.simulations_left and search.failure is None:
        began = search.ports.clock()
        leaf = select()
        if leaf is None and not trunk.top.in_flight:
            search.reason = search.reason or StopReason.EXHAUSTED
            return
        if leaf is None:
            search.emit(Collision(search.meter.seconds))
            await growth.news.wait()
            continue
        selected(search, leaf.number, began)
        search.meter.simulations += 1
        try:
            if not await simulation(growth, leaf):
                search.reason = StopReason.TOKENS
                return
            search.simulation_done()
            trunk.count(leaf)
        finally:
            growth.news.tell()


def _selection(growth: Growth, trunk: Trunk) -> Callable[[], Node | None]:
    """How the next leaf is chosen."""
    tree, options = growth.tree, growth.options
    rule = puct if options.selection == "puct" else ucb1
    scorer = rule(options.exploration, normalize=options.normalize)
    widenable = progressive_widening(options.widening, options.branch)
    branch = options.branch if options.joint else 1
    patience = _Patience()

    def select() -> Node | None:
        top = trunk.top
        leaf = descend(tree, top, scorer, branch, widenable)
        if leaf is not None or top.in_flight or top.ended or not options.widening:
            return leaf
        widen = top.state is State.EXPANDED and patience.has_more(top, len(tree.nodes))
        return top if widen else None

    return select


@dataclass(slots=True, eq=False)
class _Patience:
    """How long a search with nothing left to expand is given further branches at its top."""

    sets: int = 0  # in a row, with nothing new so far
    seen: tuple[int, int] = (0, 0)  # the top, and the size of the tree, when the latest of them was asked for

    def has_more(self, top: Node, nodes: int) -> bool:
        """Whether another set may be drawn. Begins anew whenever the tree has grown, or the search moved on."""
        self.sets = self.sets + 1 if self.seen == (top.number, nodes) else 1
        self.seen = (top.number, nodes)
        return self.sets <= FRUITLESS_SETS
