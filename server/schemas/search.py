"""The ``search`` object of a request: one shape per strategy, told apart by ``strategy``.

Every field is optional; what is left out comes from the preset. Without ``strategy`` the preset's strategy is kept and
only the given fields change. Defaults live in the strategies' options, caps in the settings: neither is repeated here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from server.schemas.common import Request, Text

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Instruction = Annotated[Text, Field(min_length=1, max_length=4000)]
RequestText = Annotated[Text, Field(min_length=1, max_length=2000)]
Vote = Literal["weighted", "majority", "max_value", "max_visits"]


Certainty = Annotated[float, Field(ge=0.5, le=1)]

# Fields that several strategies share.
_VOTE: Any = Field(None, description="How the answer is picked from the candidates.")
_WIDTH: Any = Field(
    None,
    description="Simulations (or samples) in flight at once. Higher is faster; trees then explore more evenly. "
    "Samplers draw all at once unless set.",
)
_BRANCH: Any = Field(
    None,
    description="Continuations per expansion; in cot_decoding the first tokens that are tried. Higher looks wider.",
)
_ADAPTIVE: Any = Field(
    None, description="Cancel the remaining samples once the vote is decided; true unless set. The answer is the same."
)
_CERTAINTY: Any = Field(
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


class CotSearch(_Common):
    """Plain decoding of a chat whose system turn asks for the reasoning, step by step."""

    strategy: Literal["cot"]
    instruction: Instruction | None = Field(
        None, description="What asks for the reasoning; it joins the chat's system turn and counts as prompt."
    )


class MajoritySearch(_Common):
    """Samples whole answers; the most frequent answer wins."""

    strategy: Literal["majority"]
    samples: Count | None = Field(None, description="Answers to sample.")
    width: Count | None = _WIDTH
    adaptive: bool | None = _ADAPTIVE
    certainty: Certainty | None = _CERTAINTY


class BestOfNSearch(_Scored):
    """Samples whole answers; the one with the highest reward wins."""

    strategy: Literal["best_of_n"]
    samples: Count | None = Field(None, description="Answers to sample.")
    width: Count | None = _WIDTH
    vote: Literal["max_value", "weighted", "majority"] | None = _VOTE


class WeightedBestOfNSearch(_Scored):
    """Samples whole answers; the answer with the highest sum of rewards wins."""

    strategy: Literal["weighted_best_of_n"]
    samples: Count | None = Field(None, description="Answers to sample.")
    width: Count | None = _WIDTH


class CotDecodingSearch(_Common):
    """Continues each of the likeliest first tokens; the answer that the model is surest of wins."""

    strategy: Literal["cot_decoding"]
    branch: Annotated[int, Field(ge=1, le=20)] | None = _BRANCH
    vote: Literal["weighted", "max_value"] | None = _VOTE


class _UctFields(_Scored):
    budget: TreeBudget | None = Field(None, description="Limits on the whole search.")
    vote: Vote | None = _VOTE
    width: Count | None = _WIDTH
    branch: Count | None = _BRANCH
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
    commit: Count | None = Field(
        None,
        description="Simulations after which the best first step is committed: streamed at once, and searched on from. "
        "Higher decides with more knowledge; the text flows later. Left out, nothing is given before the vote.",
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


class _RefineFields(_Common):
    budget: TreeBudget | None = Field(None, description="Limits on the whole search.")
    vote: Vote | None = Field(None, description="How the answer is picked from the candidates.")
    width: Count | None = Field(None, description="Refinements in flight at once. Higher is faster and knows less.")
    first_answers: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None, description="Answers written to the bare question. Higher depends less on a first idea."
    )
    branch: Count | None = Field(
        None, description="Refinements after which an answer is left alone, once one of them is better than itself."
    )
    exploration: Annotated[float, Field(ge=0, le=1000)] | None = Field(
        None, description="Weight of the exploration term. Higher refines seldom refined answers more."
    )
    normalize: bool | None = Field(
        None, description="Rescale values by the smallest and largest of this tree; without, they lie in [-100, 100]."
    )
    gradings: Annotated[int, Field(ge=1, le=16)] | None = Field(
        None, description="Grades per visit. Higher judges more reliably and more harshly."
    )
    critique_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None, description="Most tokens of a critique."
    )
    grade_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None, description="Most tokens of a judgement; one that is cut cannot be read."
    )
    critique_request: RequestText | None = Field(None, description="The turn that asks for a critique of an answer.")
    rewrite_request: RequestText | None = Field(None, description="The turn that asks for the new answer.")
    grade_request: RequestText | None = Field(
        None, description="What asks for a grade, after question and answer. The reply is read after its word 'Score'."
    )


class SelfRefineSearch(_RefineFields):
    """Tree search over whole answers, which the model criticises, rewrites and grades itself."""

    strategy: Literal["self_refine"]


class MctsrSearch(_RefineFields):
    """The search of the MCTSr paper; given fields change it."""

    strategy: Literal["mctsr"]


class _BranchingFields(_Scored):
    budget: TreeBudget | None = Field(None, description="Limits on the whole search.")
    vote: Vote | None = Field(None, description="How the answer is picked from the candidates.")
    width: Count | None = Field(None, description="Answers being written at once. Higher is faster and wider.")
    prior: Literal["gaussian", "beta"] | None = Field(
        None, description="What is believed of an answer before any score: the paper's normal-inverse-gamma, or a beta."
    )
    critique_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None, description="Most tokens of a critique."
    )
    critique_request: RequestText | None = Field(None, description="The turn that asks for a critique of an answer.")
    rewrite_request: RequestText | None = Field(None, description="The turn that asks for the new answer.")


class AbMctsSearch(_BranchingFields):
    """Tree search over whole answers: Thompson sampling decides whether to go wider or deeper."""

    strategy: Literal["ab_mcts"]


Aggregate = Literal["last", "min", "product", "mean"]


class _Ranked(Request):
    aggregate: Aggregate | None = Field(
        None, description="How the rewards of a path's steps become the number that paths are compared by."
    )
    vote_aggregate: Aggregate | None = Field(
        None, description="How the rewards of an answer's steps become its weight in the vote."
    )


class _Greedy(Request):
    beams: Count | None = Field(None, description="Paths in all, growing or finished. Higher finds rarer answers.")
    lookahead: Annotated[int, Field(ge=0, le=16)] | None = Field(
        None,
        description="Steps written on from each new path, whose reward then ranks it. Higher judges better.",
    )


class _Refilled(Request):
    refill: bool | None = Field(
        None, description="Keep as many paths growing when some have finished, until as many have finished."
    )


class _Balanced(Request):
    balance: Annotated[float, Field(ge=0.001, le=1000)] | None = Field(
        None, description="Temperature of the shares. Higher shares more evenly; near 0 the best path gets all."
    )


class _Resampled(Request):
    particles: Count | None = Field(None, description="Paths in the population. Higher finds rarer answers.")
    tempering: Annotated[float, Field(ge=0.001, le=1000)] | None = Field(
        None, description="Temperature of the weights. Higher keeps more paths alive; near 0 the best takes all."
    )
    resampling: Literal["systematic", "multinomial"] | None = Field(
        None, description="systematic: shares to within one; multinomial: every particle drawn by itself."
    )


class _PopulationFields(_Ranked, _Scored):
    vote: Vote | None = Field(None, description="How the answer is picked from the candidates.")
    width: Count | None = Field(
        None,
        description="Paths extended at once. Higher is faster; 1 is reproducible even under a token budget.",
    )
    max_depth: Count | None = Field(None, description="Steps after which a path is written to its end in one go.")
    step: Step | None = Field(None, description="What ends a step.")


class _DvtsFields(_Greedy, _PopulationFields):
    branch: Count | None = Field(
        None, description="Of how many new paths one is kept. Higher follows the reward more closely."
    )


class BeamSearch(_Refilled, _DvtsFields):
    """Beam search: paths grow side by side, and the best go on after every step."""

    strategy: Literal["beam"]


class DvtsSearch(_DvtsFields):
    """Diverse verifier tree search: independent subtrees, each follows the best of its new paths."""

    strategy: Literal["dvts"]


class RebaseSearch(_Balanced, _PopulationFields):
    """Reward-balanced search: the better a path, the more continuations it gets."""

    strategy: Literal["rebase"]
    beams: Count | None = Field(None, description="Paths in all, growing or finished. Higher finds rarer answers.")


class ParticleSearch(_Resampled, _PopulationFields):
    """Particle filtering: paths are resampled by reward after every step."""

    strategy: Literal["particle"]


class SearchAndLearnSearch(_Refilled, _DvtsFields):
    """The beam search of search-and-learn, as published; given fields change it."""

    strategy: Literal["search-and-learn"]


class SearchAndLearnDvtsSearch(_DvtsFields):
    """The diverse verifier tree search of search-and-learn, as published; given fields change it."""

    strategy: Literal["search-and-learn-dvts"]


class PresetSearch(_Greedy, _Refilled, _Balanced, _Resampled, _Ranked, _UctFields, _RefineFields, _BranchingFields):
    """Changes to the preset in force; fields that its strategy does not have are refused."""

    samples: Count | None = Field(None, description="Answers to sample, in strategies that sample.")
    instruction: Instruction | None = Field(None, description="What asks for the reasoning, in cot.")
    adaptive: bool | None = _ADAPTIVE
    certainty: Certainty | None = _CERTAINTY


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
