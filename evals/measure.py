"""Runs a suite against a server and keeps the figures of each run; takes runs that are already complete as they are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from evals.client import Reply, ask_all
from evals.figures import Figures, figures_of
from evals.runs import Plan, Run
from evals.store import Saved, Store, fingerprint
from mcts.ports import AnswerReader

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """What every run of a suite is measured with.

    Args:
        client: An HTTP client whose base URL is the server.
        server: What is known of the server, for fingerprints.
        concurrency: Open requests at any time, at least 1.
        store: Where runs are kept.
        answers: Tells which answers are the same.
        console: Where progress is shown.
    """

    client: httpx.AsyncClient
    server: str
    concurrency: int
    store: Store
    answers: AnswerReader
    console: Console


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of a suite, and the seconds that its runs took."""

    figures: tuple[Figures, ...]
    seconds: float


async def measure(bench: Bench, plans: Sequence[Plan], problems: Mapping[str, Sequence[Record]]) -> Measured:
    """Runs every plan over every kind of problems in turn.

    Args:
        bench: What to measure with.
        plans: The runs, in order; a later one may be sized by an earlier one's cost.
        problems: Records of each kind, by its name.
    """
    figures: list[Figures] = []
    seconds = 0.0
    for kind, records in problems.items():
        spent: dict[str, float] = {}
        for number, plan in enumerate(plans, 1):
            run = plan(spent)
            saved = await _done(bench, run, kind, records, f"{kind} {number}/{len(plans)}")
            rows = figures_of(run, kind, records, saved.replies)
            spent[run.name] = rows[0].tokens
            seconds += saved.seconds
            figures += rows
            bench.console.print(_line(rows[0], saved.replies), highlight=False)
    return Measured(tuple(figures), seconds)


async def _done(bench: Bench, run: Run, kind: str, records: Sequence[Record], title: str) -> Saved:
    mark = fingerprint(run, records, bench.server, bench.concurrency)
    saved = bench.store.load(kind, run.name, mark)
    if saved is not None:
        return saved
    began = time.monotonic()
    questions = [str(record["question"]) for record in records]
    replies: list[Reply] = []
    with _progress(bench.console, f"{title}: {run.name}", len(records)) as advance:
        asked = ask_all(bench.client, run, questions, concurrency=bench.concurrency, answers=bench.answers)
        async for reply in asked:
            replies.append(reply)
            advance(1)
    replies.sort(key=lambda reply: reply.question)
    saved = Saved(tuple(replies), time.monotonic() - began)
    bench.store.save(kind, run.name, mark, [str(record["id"]) for record in records], saved)
    return saved


def _line(row: Figures, replies: Sequence[Reply]) -> str:
    line = f"{row.kind}: {row.run}: {row.accuracy:.1%} ({row.low:.1%} to {row.high:.1%}), {row.tokens:.0f} tokens"
    first = next((reply.error for reply in replies if reply.error), None)
    return line if first is None else f"{line}, [red]{row.errors} errors[/red], the first: {first}"


@contextmanager
def _progress(console: Console, title: str, total: int) -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)
