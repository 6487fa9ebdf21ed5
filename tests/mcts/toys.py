"""Toy languages whose searches can be worked out by hand, and short ways to build what tests need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.scripted import ScriptedEngine
from engine.scripted_judges import PlainAnswers, ScriptedReward
from engine.scripted_language import Options, ScriptedTokenizer, pieces_of, script_from
from engine.virtual_time import run_virtually
from mcts.budget import Budget
from mcts.events import Event, Observers
from mcts.ports import Continuation, Finish, Message, Path, Prompt, Step
from mcts.result import SearchResult, Task
from mcts.strategy import Ports

Table = Mapping[str, Options]


def answers(*table: tuple[str, str]) -> dict[str, Options]:
    """Entries that end an answer after the given text: ``(text, answer)`` becomes text → answer → end."""
    return {text: [(answer, 1.0)] for text, answer in table} | {text + answer: [("", 1.0)] for text, answer in table}


# Greedy decoding takes A and gets 1. The best answer, 4, lies behind B and D: probability 0.3 x 0.2 = 0.06.
GARDEN: dict[str, Options] = {
    "": [("A\n\n", 0.7), ("B\n\n", 0.3)],
    "B\n\n": [("C\n\n", 0.8), ("D\n\n", 0.2)],
} | answers(("A\n\n", "answer: 1"), ("B\n\nC\n\n", "answer: 3"), ("B\n\nD\n\n", "answer: 4"))

GARDEN_WORTH = {"1": 0.25, "3": 0.5, "4": 1.0}

# Six steps deep, two ways at each: enough room for a search that should not run out of leaves.
FOREST: dict[str, Options] = {}


def _plant(text: str, depth: int) -> None:
    if depth == 5:
        FOREST[text] = [("answer: 0", 0.5), ("answer: 1", 0.3), ("answer: 2", 0.2)]
        for answer in ("answer: 0", "answer: 1", "answer: 2"):
            FOREST[text + answer] = [("", 1.0)]
        return
    FOREST[text] = [("L\n\n", 0.6), ("R\n\n", 0.4)]
    _plant(text + "L\n\n", depth + 1)
    _plant(text + "R\n\n", depth + 1)


_plant("", 0)


def forest_worth(path: Path) -> float:
    """Rs are worth a tenth each, the answer 1 four tenths: the best path is R five times, then 1."""
    return 0.1 * path.text.count("R") + 0.4 * path.text.endswith("answer: 1")


def worth_of(table: Mapping[str, float]) -> Callable[[Path], float]:
    """A reward that looks the answer up; 0 for a path without one."""
    return lambda path: table.get(PlainAnswers().extract(path.text) or "", 0.0)


@dataclass(eq=False)
class World:
    """An engine, a reward and the events seen, on a toy language."""

    engine: ScriptedEngine
    reward: ScriptedReward | None
    events: list[Event] = field(default_factory=list)
    messages: tuple[Message, ...] = (Message("user", "?"),)

    async def render(self, messages: Sequence[Message], *, continue_final: bool = False) -> list[int]:
        """The chat in the engine's tokens: a world is its own ``ChatRenderer``."""
        return self.engine.tokenizer.render(messages, continue_final=continue_final)

    @property
    def prompt(self) -> Prompt:
        """A question in the engine's tokens."""
        return Prompt(tuple(self.engine.tokenizer.render(self.messages)), self.messages)

    def ports(self, *observers: Callable[[Event], None]) -> Ports:
        """Ports for a search in the running loop, on its clock."""
        observe = Observers(self.events.append, *observers)
        return Ports(self.engine, PlainAnswers(), self.reward, self, asyncio.get_running_loop().time, observe)

    def task(self, budget: Budget | None = None, **fields: Any) -> Task:
        """A task with seed 1."""
        return Task(self.prompt, budget=budget or Budget(), **({"seed": 1} | fields))

    def seen(self, kind: type) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def world(table: Table, worth: Callable[[Path], float] | None = None, **engine: Any) -> World:
    """A world on a table; every piece of the table is one token."""
    tokenizer = ScriptedTokenizer(pieces_of(table))
    reward = ScriptedReward(worth) if worth else ScriptedReward()
    return World(ScriptedEngine(script_from(table), tokenizer, **engine), reward)


def garden(**engine: Any) -> World:
    """The garden with its worth."""
    return world(GARDEN, worth_of(GARDEN_WORTH), **engine)


def forest(**engine: Any) -> World:
    """The forest with its worth."""
    return world(FOREST, forest_worth, **engine)


def search(
    strategy: Callable[..., Coroutine[Any, Any, SearchResult]], where: World, options: Any, **fields: Any
) -> SearchResult:
    """Runs one search on virtual time."""

    async def main() -> SearchResult:
        return await strategy(where.task(**fields), where.ports(), options)

    return run_virtually(main)


def continuation(pieces: Sequence[str], finish: Finish = Finish.EOS, *, eos: bool = False) -> Continuation:
    """A continuation with one token per piece; token ids count from 1, 0 ends the sequence when ``eos``."""
    tokens = [*range(1, len(pieces) + 1), *([0] if eos else [])]
    offsets = np.cumsum([len(piece) for piece in pieces] + ([0] if eos else [])).astype(np.int32)
    count = len(tokens)
    return Continuation(
        token_ids=tuple(tokens),
        text="".join(pieces),
        offsets=offsets,
        logprobs=np.linspace(-0.1, -0.1 * count, count).astype(np.float32),
        top_ids=np.arange(count, dtype=np.int32).reshape(count, 1),
        top_logprobs=np.zeros((count, 1), dtype=np.float32),
        finish=finish,
    )


def step(*token_ids: int, finish: Finish | None = Finish.DELIMITER, logprob: float = -0.5) -> Step:
    """A step of given tokens, each with the same log-probability."""
    count = len(token_ids)
    return Step(
        token_ids,
        "".join(f"t{token}" for token in token_ids),
        np.full(count, logprob, dtype=np.float32),
        np.zeros((count, 0), dtype=np.int32),
        np.zeros((count, 0), dtype=np.float32),
        finish,
    )
