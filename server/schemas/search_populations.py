"""Searches that grow paths side by side and choose among them after every step."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from server.schemas.common import Request
from server.schemas.search_fields import (
    Count,
    Scored,
    Step,
    Vote,
)

Aggregate = Literal["last", "min", "product", "mean"]


class Ranked(Request):
    """How rewards of steps become one number."""

    aggregate: Aggregate | None = Field(
        None, description="How the rewards of a path's steps become the number that paths are compared by."
    )
    vote_aggregate: Aggregate | None = Field(
        None, description="How the rewards of an answer's steps become its weight in the vote."
    )


class Greedy(Request):
    """Settings of searches that keep the best of several paths."""

    beams: Count | None = Field(None, description="Paths in all, growing or finished. Higher finds rarer answers.")
    lookahead: Annotated[int, Field(ge=0, le=16)] | None = Field(
        None,
        description="Steps written on from each new path, whose reward then ranks it. Higher judges better.",
    )


class Refilled(Request):
    """Whether places of finished paths are given away."""

    refill: bool | None = Field(
        None, description="Keep as many paths growing when some have finished, until as many have finished."
    )


class Balanced(Request):
    """How places are shared by reward."""

    balance: Annotated[float, Field(ge=0.001, le=1000)] | None = Field(
        None, description="Temperature of the shares. Higher shares more evenly; near 0 the best path gets all."
    )


class Resampled(Request):
    """Settings of a resampled population."""

    particles: Count | None = Field(None, description="Paths in the population. Higher finds rarer answers.")
    tempering: Annotated[float, Field(ge=0.001, le=1000)] | None = Field(
        None, description="Temperature of the weights. Higher keeps more paths alive; near 0 the best takes all."
    )
    resampling: Literal["systematic", "multinomial"] | None = Field(
        None, description="systematic: shares to within one; multinomial: every particle drawn by itself."
    )


class PopulationFields(Ranked, Scored):
    """Settings of paths that grow side by side."""

    vote: Vote | None = Field(None, description="How the answer is picked from the candidates.")
    width: Count | None = Field(
        None,
        description="Paths extended at once. Higher is faster; 1 is reproducible even under a token budget.",
    )
    max_depth: Count | None = Field(None, description="Steps after which a path is written to its end in one go.")
    step: Step | None = Field(None, description="What ends a step.")


class DvtsFields(Greedy, PopulationFields):
    """Settings of subtrees that follow their best step."""

    branch: Count | None = Field(
        None, description="Of how many new paths one is kept. Higher follows the reward more closely."
    )


class BeamSearch(Refilled, DvtsFields):
    """Beam search: paths grow side by side, and the best go on after every step."""

    strategy: Literal["beam"]


class DvtsSearch(DvtsFields):
    """Diverse verifier tree search: independent subtrees, each follows the best of its new paths."""

    strategy: Literal["dvts"]


class RebaseSearch(Balanced, PopulationFields):
    """Reward-balanced search: the better a path, the more continuations it gets."""

    strategy: Literal["rebase"]
    beams: Count | None = Field(None, description="Paths in all, growing or finished. Higher finds rarer answers.")


class ParticleSearch(Resampled, PopulationFields):
    """Particle filtering: paths are resampled by reward after every step."""

    strategy: Literal["particle"]


class SearchAndLearnSearch(Refilled, DvtsFields):
    """The beam search of search-and-learn, as published; given fields change it."""

    strategy: Literal["search-and-learn"]


class SearchAndLearnDvtsSearch(DvtsFields):
    """The diverse verifier tree search of search-and-learn, as published; given fields change it."""

    strategy: Literal["search-and-learn-dvts"]
