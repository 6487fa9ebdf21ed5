"""Plain decoding: one path (or ``Task.n`` of them), its text passed on as it arrives. Scores nothing."""

from __future__ import annotations

import functools
from contextlib import aclosing
from dataclasses import dataclass

from mcts.events import AnswerText
from mcts.ports import Continuation
from mcts.result import SearchResult, Tally, Task
from mcts.search import Search
from mcts.steps import StepRule, joined
from mcts.strategy import Ports


@dataclass(frozen=True, slots=True)
class DirectOptions:
    """Plain decoding has no options."""


async def direct(task: Task, ports: Ports, _: DirectOptions, name: str = "direct") -> SearchResult:
    """Draws ``Task.n`` samples; with one, its text is told by ``AnswerText`` events while it is written.

    The winners are the samples in their order, equal ones included: that is what ``n`` means without a search. A
    deadline or token limit, or an engine that fails half way, gives the text so far as an unfinished candidate.

    Raises:
        NoAnswerInTime: The budget ended before the first token.
        EngineError: The engine failed before the first token.
    """
    search = Search(task, ports, name, scored=False)
    written: list[list[Continuation]] = [[] for _ in range(task.n)]
    with search.announced():
        await search.run([functools.partial(_write, search, i, pieces) for i, pieces in enumerate(written)])
        for pieces in written:
            if pieces:
                search.found(search.path(StepRule().split(joined(pieces))), None)
        if not search.candidates:
            return await search.result("majority")  # raises what happened
        candidates = tuple(search.candidates)
        tallies = tuple(Tally(candidate.answer, 1.0, 1, (candidate,)) for candidate in candidates)
        return search.concluded(candidates, candidates, tallies)


async def _write(search: Search, number: int, pieces: list[Continuation]) -> None:
    """Streams one sample into ``pieces``."""
    prefix = search.task.prompt.token_ids
    async with aclosing(search.calls.stream(prefix, f"sample/{number}")) as stream:
        async for piece in stream:
            pieces.append(piece)
            if search.task.n == 1 and piece.text:
                search.emit(AnswerText(piece.text, len(piece.token_ids), search.meter.seconds))
    if pieces:
        search.simulation_done()
