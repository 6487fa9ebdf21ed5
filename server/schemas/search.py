"""The ``search`` object of a request: one shape per strategy, told apart by ``strategy``.

Every field is optional; what is left out comes from the preset. Without ``strategy`` the preset's strategy is kept and
only the given fields change. Defaults live in the strategies' options, caps in the settings: neither is repeated here.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from server.schemas.search_fields import (
    ADAPTIVE,
    CERTAINTY,
    Certainty,
    Count,
    Instruction,
)
from server.schemas.search_populations import (
    Balanced,
    BeamSearch,
    DvtsSearch,
    Greedy,
    ParticleSearch,
    Ranked,
    RebaseSearch,
    Refilled,
    Resampled,
    SearchAndLearnDvtsSearch,
    SearchAndLearnSearch,
)
from server.schemas.search_samplers import (
    BestOfNSearch,
    CotDecodingSearch,
    CotSearch,
    DirectSearch,
    MajoritySearch,
    WeightedBestOfNSearch,
)
from server.schemas.search_trees import (
    AbMctsSearch,
    BranchingFields,
    MarcoO1Search,
    MctsrSearch,
    RefineFields,
    SelfRefineSearch,
    UctFields,
    UctSearch,
)


class PresetSearch(Greedy, Refilled, Balanced, Resampled, Ranked, UctFields, RefineFields, BranchingFields):
    """Changes to the preset in force; fields that its strategy does not have are refused."""

    samples: Count | None = Field(None, description="Answers to sample, in strategies that sample.")
    instruction: Instruction | None = Field(None, description="What asks for the reasoning, in cot.")
    adaptive: bool | None = ADAPTIVE
    certainty: Certainty | None = CERTAINTY


Named = Annotated[
    DirectSearch
    | CotSearch
    | MajoritySearch
    | BestOfNSearch
    | WeightedBestOfNSearch
    | CotDecodingSearch
    | UctSearch
    | MarcoO1Search
    | SelfRefineSearch
    | MctsrSearch
    | AbMctsSearch
    | BeamSearch
    | DvtsSearch
    | RebaseSearch
    | ParticleSearch
    | SearchAndLearnSearch
    | SearchAndLearnDvtsSearch,
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
    {"strategy": "beam", "beams": 16, "branch": 4, "reward": "prm"},
]
