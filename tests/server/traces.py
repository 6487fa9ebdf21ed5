"""What tests of traces share: recordings of searches on toys, and traces redrawn from their events as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from engine.scripted import ScriptedEngine
from engine.virtual_time import run_virtually
from mcts.budget import Budget
from mcts.ports import Message, Prompt
from mcts.result import SearchResult, Task
from mcts.strategies import STRATEGIES
from server.assignments import Assignment
from server.plans import Plan
from server.traces.document import rendered
from server.traces.recording import Recording
from server.traces.spelling import Spelling
from tests.mcts.toys import World
from tests.server.service import backend

PLENTY = 16 * 2**20


def recorded(
    where: World, strategy: str, options: Any = None, *, most: int = PLENTY, **fields: Any
) -> tuple[Recording, SearchResult]:
    """Runs a search on a toy in virtual time and records it."""
    spec = STRATEGIES[strategy]
    options = options or spec.defaults
    made: list[tuple[Recording, SearchResult]] = []

    async def main() -> None:
        task = where.task(**({"search_id": "search-1"} | fields))
        assignment = assigned(task, strategy, options, clock=asyncio.get_running_loop().time)
        recording = Recording(assignment, "", 1, 1000.0, 0.25, most, lambda _: None)
        result = await spec.run(task, where.ports(recording), options)
        recording.answered(result)
        made.append((recording, result))

    run_virtually(main)
    return made[0]


def assigned(task: Task, strategy: str = "uct", options: Any = None, **changes: Any) -> Assignment:
    """An assignment, without a server."""
    options = options or STRATEGIES[strategy].defaults
    plan = Plan(strategy, options, task.budget, "prm", getattr(options, "vote", None), progress=True)
    return Assignment("chatcmpl-1", "abacus", task, plan, backend(ScriptedEngine(), **changes))


def question(text: str = "How much?", search_id: str = "search-1") -> Task:
    """A task that nobody runs."""
    return Task(Prompt((1, 2), (Message("user", text),)), budget=Budget(), search_id=search_id)


def trace_of(recording: Recording, where: World | None = None, *, texts: bool = True) -> dict[str, Any]:
    """The trace as a client reads it."""
    tokenizer = where.engine.tokenizer if where else recording.asked.backend.tokenizer
    told: dict[str, Any] = json.loads(rendered(recording.snapshot(), Spelling(tokenizer), texts=texts))
    return told


def replayed_tree(trace: dict[str, Any]) -> dict[int, tuple[int, float]]:
    """Visits and value sum of each node, from the trace's events alone, as a viewer would add them up."""
    parents = {node["node"]: node["parent"] for node in trace["tree"]}
    drawn: dict[int, tuple[int, float]] = {}
    for event in trace["events"]:
        if event["type"] == "node_added":
            drawn[event["node"]] = (event["visits"], event["value"])
        elif event["type"] == "backed_up":
            number = event["node"]
            while number is not None:
                visits, value = drawn[number]
                drawn[number] = (visits + event["visits"], value + event["value"])
                number = parents[number]
    return drawn


def told_tree(trace: dict[str, Any]) -> dict[int, tuple[int, float]]:
    """Visits and value sum of each node, as the trace tells them."""
    return {node["node"]: (node["visits"], node["value_sum"]) for node in trace["tree"]}


def strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a JSON value, with the name of the field it stands in."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from strings(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each, name)
