"""UCT over the steps of an answer: the loop that keeps ``width`` simulations in flight, without a barrier."""

from __future__ import annotations

from collections.abc import Callable

from mcts.budget import StopReason
from mcts.errors import InvalidRequest
from mcts.events import Collision
from mcts.result import SearchResult, Task
from mcts.search import Search
from mcts.selection import descend, progressive_widening, puct, ucb1
from mcts.strategies.beginnings import fall_back_on_beginnings
from mcts.strategies.growth import Growth, UctOptions
from mcts.strategies.simulation import simulate, simulate_separately
from mcts.strategy import Ports
from mcts.tree import Node, Tree


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

    select = _selection(growth)

    async def work() -> None:
        await _simulations(growth, select)

    with search.announced():
        search.node_added(tree.root)
        await search.run([work] * options.width)
        fall_back_on_beginnings(search, tree)
        return await search.result(options.vote, tree)


async def _simulations(growth: Growth, select: Callable[[], Node | None]) -> None:
    """Runs simulations one after the other until a limit is met. ``width`` of these run side by side."""
    search = growth.search
    simulation = simulate if growth.options.joint else simulate_separately
    while search.meter.simulations_left and search.failure is None:
        leaf = select()
        if leaf is None and not growth.tree.root.in_flight:
            search.reason = search.reason or StopReason.EXHAUSTED
            return
        if leaf is None:
            search.emit(Collision(search.meter.seconds))
            await growth.news.wait()
            continue
        search.meter.simulations += 1
        try:
            if not await simulation(growth, leaf):
                search.reason = StopReason.TOKENS
                return
            search.simulation_done()
        finally:
            growth.news.tell()


def _selection(growth: Growth) -> Callable[[], Node | None]:
    """How the next leaf is chosen."""
    tree, options = growth.tree, growth.options
    rule = puct if options.selection == "puct" else ucb1
    scorer = rule(options.exploration, normalize=options.normalize)
    widenable = progressive_widening(options.widening, options.branch)
    branch = options.branch if options.joint else 1
    nodes_before_widening = 0

    def select() -> Node | None:
        nonlocal nodes_before_widening
        leaf = descend(tree, tree.root, scorer, branch, widenable)
        if leaf is not None or tree.root.in_flight or not options.widening:
            return leaf
        if len(tree.nodes) == nodes_before_widening:
            return None  # the root was widened and nothing new came of it
        nodes_before_widening = len(tree.nodes)
        return tree.root

    return select
