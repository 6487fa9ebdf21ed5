"""What the searches of several strategies share: limits, steps, and fields of one meaning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from server.schemas.common import Request, Text

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Instruction = Annotated[Text, Field(min_length=1, max_length=4000)]
RequestText = Annotated[Text, Field(min_length=1, max_length=2000)]
Vote = Literal["weighted", "majority", "max_value", "max_visits"]


Certainty = Annotated[float, Field(ge=0.5, le=1)]

# Fields that several strategies share.
VOTE: Any = Field(None, description="How the answer is picked from the candidates.")
WIDTH: Any = Field(
    None,
    description="Simulations (or samples) in flight at once. Higher is faster; trees then explore more evenly. "
    "Samplers draw all at once unless set.",
)
BRANCH: Any = Field(
    None,
    description="Continuations per expansion; in cot_decoding the first tokens that are tried. Higher looks wider.",
)
ADAPTIVE: Any = Field(
    None, description="Cancel the remaining samples once the vote is decided; true unless set. The answer is the same."
)
CERTAINTY: Any = Field(
    None,
    description="How sure the leader must be to be the commonest answer before the rest is cancelled. "
    "1 until it cannot be caught; lower (0.95) stops earlier and may change the answer.",
)


class Budget(Request):
    """Limits on the whole search; the first to be reached ends it with the best answer so far."""

    tokens: Annotated[int, Field(ge=1, le=10**12)] | None = Field(
        None,
        description="Most tokens generated over the whole search. max_tokens bounds each path, this bounds their sum.",
    )
    seconds: Annotated[float, Field(gt=0, le=86_400)] | None = Field(
        None, description="Deadline in seconds from the search's start."
    )


class TreeBudget(Budget):
    """Limits on a tree search; the first to be reached ends it with the best answer so far."""

    simulations: Count | None = Field(
        None, description="Most simulations of a tree search. Higher answers better and slower."
    )


class Step(Request):
    """What ends one step, the piece of text that an edge of the tree adds. Exactly one of the two."""

    delimiter: Annotated[Text, Field(min_length=1, max_length=64)] | None = Field(
        None, description="Text that ends a step and stays in it, such as a blank line.", examples=["\n\n"]
    )
    tokens: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None, description="Length of a mini-step in tokens. Lower branches more finely.", examples=[32, 64]
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Step:
        if (self.delimiter is None) == (self.tokens is None):
            raise ValueError("give either delimiter or tokens")
        return self


class Common(Request):
    """Settings of every strategy."""

    budget: Budget | None = Field(None, description="Limits on the whole search.")
    progress: bool | Literal["events"] | None = Field(
        None,
        description="In streams: true tells progress in the reasoning fields, false tells nothing, "
        "'events' puts each search event into the chunk's field search_event instead.",
    )
    candidates: bool | None = Field(
        None, description="List every answer that the search found in the reply's search summary."
    )


class Scored(Common):
    """Settings of strategies that a reward guides."""

    reward: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")] | None = Field(
        None,
        description="What a path is worth: confidence (token probabilities), prm (a process reward model), judge "
        "(the model grades its answers), or another reward that this server has; see docs/rewards.md.",
        examples=["prm", "confidence"],
    )  # fmt: skip
