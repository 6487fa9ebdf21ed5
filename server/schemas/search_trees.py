"""Searches that grow a tree, of steps or of whole answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from server.schemas.common import Text
from server.schemas.search_fields import (
    BRANCH,
    VOTE,
    WIDTH,
    Common,
    Count,
    RequestText,
    Scored,
    Step,
    TreeBudget,
    Vote,
)


class UctFields(Scored):
    """Settings of a tree of steps."""

    budget: TreeBudget | None = Field(None, description="Limits on the whole search.")
    vote: Vote | None = VOTE
    width: Count | None = WIDTH
    branch: Count | None = BRANCH
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


class UctSearch(UctFields):
    """Monte-Carlo tree search with upper confidence bounds over steps of the answer."""

    strategy: Literal["uct"]


class MarcoO1Search(UctFields):
    """The search of the Marco-o1 paper, as published; given fields change it."""

    strategy: Literal["marco-o1"]


class RefineFields(Common):
    """Settings of a tree of answers that the model refines and grades."""

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


class SelfRefineSearch(RefineFields):
    """Tree search over whole answers, which the model criticises, rewrites and grades itself."""

    strategy: Literal["self_refine"]


class MctsrSearch(RefineFields):
    """The search of the MCTSr paper; given fields change it."""

    strategy: Literal["mctsr"]


class BranchingFields(Scored):
    """Settings of a tree of answers that a reward scores."""

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


class AbMctsSearch(BranchingFields):
    """Tree search over whole answers: Thompson sampling decides whether to go wider or deeper."""

    strategy: Literal["ab_mcts"]
