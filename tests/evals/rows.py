"""Figures and replies for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evals.figures import Figures
from evals.statistics import wilson


def row(run: str, right: Sequence[bool], **changes: Any) -> Figures:
    """One run over word problems, by the process reward model and under the vote ``weighted`` unless changed."""
    low, high = wilson(sum(right), len(right))
    given: dict[str, Any] = {
        "run": run,
        "kind": "word",
        "label": run.split(maxsplit=1)[0],
        "reward": "prm",
        "vote": "weighted",
        "own": True,
        "budget": 0,
        "questions": len(right),
        "accuracy": sum(right) / len(right),
        "low": low,
        "high": high,
        "tokens": 120.0,
        "engine_calls": 3.5,
        "seconds": 0.25,
        "errors": 0,
        "right": tuple(right),
    }
    return Figures(**given | changes)


def score(right: int, total: int = 10) -> tuple[bool, ...]:
    """The first ``right`` of ``total`` questions answered rightly."""
    return tuple(number < right for number in range(total))


def candidate(text: str, answer: str | None, reward: float | None, visits: int = 1, **changes: Any) -> dict[str, Any]:
    """An entry of a reply's ``search.candidates``."""
    return {"text": text, "answer": answer, "reward": reward, "visits": visits, "finished": True, **changes}


def reply(text: str, candidates: list[dict[str, Any]] | None = None, **search: Any) -> dict[str, Any]:
    """A ``chat.completion`` of ``uct`` by the process reward model that voted ``weighted``."""
    told = {
        "strategy": "uct",
        "reward": "prm",
        "vote": "weighted",
        "stop_reason": "simulations",
        "engine_calls": 7,
        "candidates": candidates,
    }
    return {
        "choices": [{"message": {"content": text}}],
        "usage": {"completion_tokens": 90},
        "search": told | search,
    }
