"""Runs a suite against a server, checks every answer exactly, and keeps the figures of each run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from evals.client import Reply, ask_all
from evals.statistics import wilson
from evals.suites import Plan
from models.problems import check

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figures:
    """One run over one family of problems. Shares are in [0, 1]; tokens, calls and seconds are means per question."""

    run: str
    kind: str
    questions: int
    accuracy: float
    low: float
    high: float
    tokens: float
    engine_calls: float
    seconds: float
    errors: int
    right: tuple[bool, ...]


async def measure(
    client: httpx.AsyncClient,
    plans: Sequence[Plan],
    problems: Mapping[str, Sequence[Record]],
    *,
    concurrency: int,
    folder: Path,
    console: Console,
) -> list[Figures]:
    """Runs every plan over every family in turn.

    Args:
        client: An HTTP client whose base URL is the server.
        plans: The runs, in order; a later one may be sized by an earlier one's cost.
        problems: Records of each family, by its name.
        concurrency: Open requests at any time, at least 1.
        folder: Where the replies of each run are kept, one JSON object a line; it exists.
        console: Where progress is shown.
    """
    figures: list[Figures] = []
    for kind, records in problems.items():
        spent: dict[str, float] = {}
        for plan in plans:
            run = plan(spent)
            replies: list[Reply] = []
            with _progress(console, f"{kind}: {run.name}", len(records)) as advance:
                questions = [str(record["question"]) for record in records]
                async for reply in ask_all(client, run, questions, concurrency=concurrency):
                    replies.append(reply)
                    advance(1)
            replies.sort(key=lambda reply: reply.question)
            figures.append(_figures(run.name, kind, records, replies))
            spent[run.name] = figures[-1].tokens
            _keep(folder / f"{kind} {run.name}.jsonl".replace(" ", "-"), records, replies)
            console.print(_line(figures[-1]))
    return figures


def _figures(name: str, kind: str, records: Sequence[Record], replies: Sequence[Reply]) -> Figures:
    right = tuple(check(dict(record), reply.text) for record, reply in zip(records, replies, strict=True))
    low, high = wilson(sum(right), len(right))
    return Figures(
        run=name,
        kind=kind,
        questions=len(right),
        accuracy=sum(right) / len(right),
        low=low,
        high=high,
        tokens=_mean([reply.tokens for reply in replies]),
        engine_calls=_mean([reply.engine_calls for reply in replies]),
        seconds=_mean([reply.seconds for reply in replies]),
        errors=sum(reply.error is not None for reply in replies),
        right=right,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _line(row: Figures) -> str:
    return f"{row.kind}: {row.run}: {row.accuracy:.1%} ({row.low:.1%} to {row.high:.1%}), {row.tokens:.0f} tokens" + (
        f", [red]{row.errors} errors[/red]" if row.errors else ""
    )


def _keep(path: Path, records: Sequence[Record], replies: Sequence[Reply]) -> None:
    with path.open("w", encoding="utf-8") as lines:
        for record, reply in zip(records, replies, strict=True):
            lines.write(json.dumps({"id": record["id"], **reply.as_dict()}) + "\n")


@contextmanager
def _progress(console: Console, title: str, total: int) -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)
