"""The figures of one run under one vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.client import Reply
from evals.runs import Run
from evals.statistics import wilson
from models.problems import check


@dataclass(frozen=True, slots=True)
class Figures:
    """One run over one kind of problems, under one vote.

    Args:
        run: The run's name.
        kind: The problems'.
        label: What tables call the strategy.
        reward: What scored; None where nothing did.
        vote: The vote; empty where there is none.
        own: Whether it is the vote that the search itself took, so that the figures are those of its replies.
        budget: See ``Run``.
        questions: How many were asked.
        accuracy: Share of right answers, in [0, 1]; a question that met an error counts as wrong.
        low, high: Its 95% Wilson interval.
        tokens: Mean generated tokens per question that got a reply; 0 where none did.
        engine_calls: Mean engine calls, likewise.
        seconds: Mean seconds, likewise.
        errors: Questions that met an error.
        right: Which questions were answered rightly.
    """

    run: str
    kind: str
    label: str
    reward: str | None
    vote: str
    own: bool
    budget: int
    questions: int
    accuracy: float
    low: float
    high: float
    tokens: float
    engine_calls: float
    seconds: float
    errors: int
    right: tuple[bool, ...]

    @property
    def failed(self) -> bool:
        """Whether every question met an error, so that the figures say nothing about the run."""
        return self.errors == self.questions


def figures_of(run: Run, kind: str, records: Sequence[Mapping[str, Any]], replies: Sequence[Reply]) -> list[Figures]:
    """The figures of a run: first under its own vote, then under each other vote that was taken again.

    Args:
        run: What was asked.
        kind: The problems' kind.
        records: The problems, at least one.
        replies: In the order of the problems.
    """
    own = next((reply.vote for reply in replies if not reply.error), "")
    texts = {own: [reply.text for reply in replies]}
    for vote in run.votes:
        if vote != own:
            texts[vote] = [reply.recast.get(vote, "") for reply in replies]
    return [_figures(run, kind, vote, vote == own, records, replies, given) for vote, given in texts.items()]


def _figures(
    run: Run,
    kind: str,
    vote: str,
    own: bool,
    records: Sequence[Mapping[str, Any]],
    replies: Sequence[Reply],
    texts: Sequence[str],
) -> Figures:
    triples = zip(records, replies, texts, strict=True)
    right = tuple(reply.error is None and check(dict(record), text) for record, reply, text in triples)
    received = [reply for reply in replies if reply.received]
    low, high = wilson(sum(right), len(right))
    return Figures(
        run=run.name,
        kind=kind,
        label=run.label,
        reward=run.reward,
        vote=vote,
        own=own,
        budget=run.budget,
        questions=len(right),
        accuracy=sum(right) / len(right),
        low=low,
        high=high,
        tokens=_mean([reply.tokens for reply in received]),
        engine_calls=_mean([reply.engine_calls for reply in received]),
        seconds=_mean([reply.seconds for reply in received]),
        errors=sum(reply.error is not None for reply in replies),
        right=right,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
