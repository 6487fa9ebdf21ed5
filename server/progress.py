"""Search progress for people (one line per simulation) and for programs (events as JSON)."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from mcts import events
from server.options import TREES

LONGEST_ANSWER = 60
"""Characters of the best answer that a progress line shows."""


class ProgressLines:
    """Turns a search's events into lines such as ``simulation 5/32 · best so far 42 (0.91) · 18 nodes``."""

    def __init__(self, strategy: str, total: int | None) -> None:
        self._silent = strategy in {"direct", "cot"}  # its text itself is the progress
        self._unit = "simulation" if strategy in TREES else "sample"
        self._total = total
        self._nodes = 0

    def line(self, event: events.Event) -> str | None:
        """The line for an event; None when it is no news for a reader."""
        if isinstance(event, events.NodeAdded):
            self._nodes += 1
        if self._silent or not isinstance(event, events.SimulationDone):
            return None
        parts = [f"{self._unit} {event.done}{f'/{self._total}' if self._total else ''}"]
        if event.best_answer is None:
            parts.append("no answer yet")
        else:
            parts.append(f"best so far {_short(event.best_answer)} ({event.best_weight:.2f})")
        if self._nodes:
            parts.append(f"{self._nodes} nodes")
        return " · ".join(parts) + "\n"


def event_fields(event: events.Event) -> dict[str, Any]:
    """An event as JSON: its fields, and ``type`` in snake case (``node_added``)."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    told = (field.name for field in dataclasses.fields(event) if field.metadata.get("told", True))
    return {"type": name, **{field: getattr(event, field) for field in told}}


def _short(answer: str) -> str:
    flat = " ".join(answer.split())
    return flat if len(flat) <= LONGEST_ANSWER else flat[: LONGEST_ANSWER - 1] + "…"
