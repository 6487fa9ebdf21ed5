"""The ``search`` object of a request: one shape per strategy, told apart by ``strategy``.

Every field is optional; what is left out comes from the preset. Without ``strategy`` the preset's strategy is kept and
only the given fields change. Defaults live in the strategies' options, caps in the settings: neither is repeated here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from server.schemas.common import Request, Text

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Vote = Literal["weighted", "majority", "max_value", "max_visits"]


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


class _Common(Request):
    budget: Budget | None = Field(None, description="Limits on the whole search.")
    progress: bool | Literal["events"] | None = Field(
        None,
        description="In streams: true tells progress in the reasoning fields, false tells nothing, "
        "'events' puts each search event into the chunk's field search_event instead.",
    )


class _Scored(_Common):
    reward: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")] | None = Field(
        None,
        description="What a path is worth: confidence (token probabilities), prm (a process reward model), judge "
        "(the model grades its answers), or another reward that this server has; see docs/rewards.md.",
        examples=["prm", "confidence"],
    )  # fmt: skip


class DirectSearch(_Common):
    """Plain decoding: one answer, streamed as it is written."""

    strategy: Literal["direct"]


class MajoritySearch(_Common):
    """Samples whole answers; the most frequent answer wins."""

    strategy: Literal["majority"]
    samples: Count | None = Field(None, description="Answers to sample.")


class BestOfNSearch(_Scored):
    """Samples whole answers; the one with the highest reward wins."""

    strategy: Literal["best_of_n"]
    samples: Count | None = Field(None, description="Answers to sample.")


class WeightedBestOfNSearch(_Scored):
    """Samples whole answers; the answer with the highest sum of rewards wins."""

    strategy: Literal["weighted_best_of_n"]
    samples: Count | None = Field(None, description="Answers to sample.")


class _UctFields(_Scored):
    budget: TreeBudget | None = Field(None, description="Limits on the whole search.")
    vote: Vote | None = Field(None, description="How the answer is picked from the candidates.")
    width: Count | None = Field(
        None, description="Simulations in flight at once. Higher is faster and explores more evenly."
    )
    branch: Count | None = Field(None, description="Continuations per expansion. Higher widens the tree.")
    max_depth: Count | None = Field(None, description="Deepest node that is still expanded.")
    exploration: Annotated[float, Field(ge=0, le=1000)] | None = Field(
        None, description="Weight of the exploration term. Higher tries rarely visited nodes more; 0 only exploits."
    )
    normalize: bool | None = Field(
        None, description="Rescale values by the smallest and largest reward seen in this tree."
    )
    selection: Literal["ucb1", "puct"] | None = Field(
        None, description="Selection rule; puct takes the model's likelihood as prior."
    )
    widening: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None,
        description="Exponent by which a node's children grow with its visits. Higher widens the tree;"
        " 0 expands each node once, as joint=false requires.",
    )
    step: Step | None = Field(None, description="What ends a step.")
    rollout: Literal["full", "none"] | None = Field(
        None,
        description="full: continue each child to an answer; none: generate the step only and let the reward judge it.",
    )
    expansion: Literal["sample", "top_tokens"] | None = Field(
        None, description="sample: draw the children; top_tokens: start them from the likeliest next tokens."
    )
    joint: bool | None = Field(
        None, description="Expansion and rollout in one engine call. False draws them separately."
    )
    reflection: bool | Annotated[Text, Field(min_length=1, max_length=500)] | None = Field(
        None,
        description="Let the model reconsider each answer; both count as candidates. A text is the phrase to use.",
    )


class UctSearch(_UctFields):
    """Monte-Carlo tree search with upper confidence bounds over steps of the answer."""

    strategy: Literal["uct"]


class MarcoO1Search(_UctFields):
    """The search of the Marco-o1 paper, as published; given fields change it."""

    strategy: Literal["marco-o1"]


class PresetSearch(_UctFields):
    """Changes to the preset in force; fields that its strategy does not have are refused."""

    samples: Count | None = Field(None, description="Answers to sample, in strategies that sample.")


Named = Annotated[
    DirectSearch | MajoritySearch | BestOfNSearch | WeightedBestOfNSearch | UctSearch | MarcoO1Search,
    Field(discriminator="strategy"),
]
"""A search with its strategy named. A further strategy joins the union here and the table in ``server.options``."""


def _which(value: Any) -> str:
    given = value.get("strategy") if isinstance(value, dict) else getattr(value, "strategy", None)
    return "preset" if given is None else "named"


Search = Annotated[Annotated[Named, Tag("named")] | Annotated[PresetSearch, Tag("preset")], Discriminator(_which)]

EXAMPLES: list[dict[str, Any]] = [
    {"budget": {"simulations": 64, "seconds": 10}},
    {"strategy": "uct", "reward": "prm", "vote": "weighted", "budget": {"simulations": 32}, "width": 8, "branch": 4},
    {"strategy": "uct", "step": {"tokens": 32}, "reward": "confidence"},
    {"strategy": "best_of_n", "samples": 16, "reward": "prm"},
]
