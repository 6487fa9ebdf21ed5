"""Searches that write whole answers side by side: plain decoding and its votes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from server.schemas.search_fields import (
    ADAPTIVE,
    BRANCH,
    CERTAINTY,
    VOTE,
    WIDTH,
    Certainty,
    Common,
    Count,
    Instruction,
    Scored,
)


class DirectSearch(Common):
    """Plain decoding: one answer, streamed as it is written."""

    strategy: Literal["direct"]


class CotSearch(Common):
    """Plain decoding of a chat whose system turn asks for the reasoning, step by step."""

    strategy: Literal["cot"]
    instruction: Instruction | None = Field(
        None, description="What asks for the reasoning; it joins the chat's system turn and counts as prompt."
    )


class MajoritySearch(Common):
    """Samples whole answers; the most frequent answer wins."""

    strategy: Literal["majority"]
    samples: Count | None = Field(None, description="Answers to sample.")
    width: Count | None = WIDTH
    adaptive: bool | None = ADAPTIVE
    certainty: Certainty | None = CERTAINTY


class BestOfNSearch(Scored):
    """Samples whole answers; the one with the highest reward wins."""

    strategy: Literal["best_of_n"]
    samples: Count | None = Field(None, description="Answers to sample.")
    width: Count | None = WIDTH
    vote: Literal["max_value", "weighted", "majority"] | None = VOTE


class WeightedBestOfNSearch(Scored):
    """Samples whole answers; the answer with the highest sum of rewards wins."""

    strategy: Literal["weighted_best_of_n"]
    samples: Count | None = Field(None, description="Answers to sample.")
    width: Count | None = WIDTH


class CotDecodingSearch(Common):
    """Continues each of the likeliest first tokens; the answer that the model is surest of wins."""

    strategy: Literal["cot_decoding"]
    branch: Annotated[int, Field(ge=1, le=20)] | None = BRANCH
    vote: Literal["weighted", "max_value"] | None = VOTE
