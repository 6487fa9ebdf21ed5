"""What judges scripted text: a reward with declared values and a reader of plain answers. For tests and demos."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mcts.ports import Path, PathScore

Worth = Callable[[Path], float]


def mean_probability(path: Path) -> float:
    """Mean probability of the tokens under evaluation, in (0, 1]; 1 when there are none."""
    logprobs = [step.logprobs for step in path.steps[path.scored_from :] if len(step.logprobs)]
    return float(np.exp(np.concatenate(logprobs)).mean()) if logprobs else 1.0


@dataclass(eq=False)
class ScriptedReward:
    """A declared worth behind the reward port.

    Args:
        worth: The value of a path, in [0, 1].
        top_logprobs: Alternatives per token that paths must carry.
        latency: Seconds that a call takes, given the call's number from 0.
        failure: The exception with which a call ends, given the same; None for none.
        sleep: How time passes.
    """

    worth: Worth = mean_probability
    top_logprobs: int = 0
    latency: Callable[[int], float] = lambda _: 0.0
    failure: Callable[[int], Exception | None] = lambda _: None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    calls: int = 0
    open_calls: int = 0

    async def score(self, paths: Sequence[Path]) -> Sequence[PathScore]:
        """Scores each path, in order."""
        number, self.calls, self.open_calls = self.calls, self.calls + 1, self.open_calls + 1
        try:
            await self.sleep(self.latency(number))
            error = self.failure(number)
            if error is not None:
                raise error
            return [PathScore(self.worth(path)) for path in paths]
        finally:
            self.open_calls -= 1


class PlainAnswers:
    r"""Reads the last ``\boxed{...}`` or ``answer: ...``; equal means equal up to white space."""

    _pattern = re.compile(r"\\boxed\{([^{}]*)\}|answer: *([^\s]+)")

    def extract(self, text: str) -> str | None:
        """The final answer in a text, or None when it has none."""
        found = self._pattern.findall(text)
        return (found[-1][0] or found[-1][1]).strip() or None if found else None

    async def group(self, answers: Sequence[str]) -> Sequence[int]:
        """For each answer the index of the first one equal to it."""
        first: dict[str, int] = {}
        return [first.setdefault("".join(answer.split()), i) for i, answer in enumerate(answers)]
