"""Traces of searches: what lists tell, and the whole of one search, enough to redraw and replay its tree."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mcts.budget import StopReason
from server.schemas.common import Reply, Text

SearchId = Annotated[str, StringConstraints(min_length=1, max_length=200), Text]
State = Literal["running", "finished", "failed", "cancelled"]


class SearchQuery(BaseModel):
    """Which searches a list tells of."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100, description="Most searches in one reply, 1 to 100.")
    after: SearchId | None = Field(
        None, description="Id of a search that is kept: the list goes on with those that began before it."
    )
    strategy: str | None = Field(None, max_length=100, description="Only searches by this strategy.")
    stop_reason: StopReason | None = Field(None, description="Only searches that ended for this reason.")
    state: State | None = Field(None, description="Only searches in this state.")


class TraceTokens(Reply):
    """Where the tokens of a search went. Until it has ended they are those of the calls that have."""

    prompt: int
    generated: int
    answer: int = Field(description="Of the generated ones, those in answers that were given.")
    cached: int = Field(description="Prefix tokens that came from the engine's cache, over all calls.")


class TraceBudget(Reply):
    """The limits of a search; null is none."""

    simulations: int | None
    tokens: int | None
    seconds: float | None


class TraceError(Reply):
    """What a failed search told its client."""

    code: str = Field(description="As in the error's reply.")
    message: str | None = Field(description="Null without texts.")


class SearchListing(Reply):
    """One search, in short."""

    id: str = Field(description="The reply's `search.id`.")
    object: Literal["search"] = "search"
    request_id: str = Field(description="The reply's `id`.")
    created: float = Field(description="When it began to run, Unix time in seconds.")
    model: str = Field(description="As the client named it.")
    strategy: str
    reward: str | None
    vote: str | None
    state: State = Field(description="`finished` has an answer, whatever ended the search; the others have none.")
    stop_reason: str | None = Field(description="Null while it runs, and where it was refused before it began.")
    error: TraceError | None
    budget: TraceBudget
    waited_seconds: float = Field(description="For a place, before it ran.")
    seconds: float = Field(description="From its beginning to its end, or until now.")
    simulations: int = Field(description="Simulations, or samples, completed.")
    nodes: int
    depth: int
    tokens: TraceTokens
    engine_calls: int
    reward_calls: int
    value: float | None = Field(description="Reward of the winner, in [0, 1].")
    answer: str | None = Field(
        description="The winner's, its text where it has none; cut after 1,000 characters. Null without texts."
    )
    question: str | None = Field(description="The last turn's first 200 characters. Null without texts.")
    texts: bool = Field(description="Whether the trace holds texts: the setting trace_texts.")
    truncated: bool = Field(description="Whether the search outgrew trace_search_bytes, and its end is left out.")


class SearchList(Reply):
    """Searches, the latest first."""

    object: Literal["list"] = "list"
    data: list[SearchListing]
    has_more: bool = Field(description="Whether earlier ones follow; `after` with the last id here lists them.")


class TraceMessage(Reply):
    """One turn of the chat."""

    role: str
    content: str


class TraceSampling(Reply):
    """How tokens were drawn."""

    max_tokens: int = Field(description="Of one path.")
    n: int = Field(description="Answers asked for.")
    seed: int | None
    temperature: float
    top_p: float
    top_k: int


class TokenFields(Reply):
    """The tokens of a text, one entry each."""

    token_texts: list[str] | None = Field(
        description="Joined they are the text. Null without texts, and where tokens cannot be told apart in it."
    )
    confidences: list[float | None] | None = Field(
        description="The token's share of the five likeliest's probability, in [0, 1]; higher is surer. Null where the "
        "engine was not asked for five alternatives, or the model did not write the text."
    )


class TraceNode(TokenFields):
    """One node of the tree."""

    node: int = Field(description="Its number; 0 is the root, and parents come before their children.")
    parent: int | None
    depth: int
    seconds: float = Field(description="When it joined the tree, from the search's beginning.")
    text: str | None = Field(description="Of its own step, or of its whole answer; null without texts.")
    tokens: int
    prior: float
    terminal: bool = Field(description="Whether an answer ends here, or the path may grow no longer.")
    visits: int
    value: float | None = Field(description="Mean reward of the visits, in [0, 1]; null when unvisited.")
    value_sum: float
    rewards: list[float] = Field(description="Of the rollouts from it, in the order in which they were scored.")
    winning: bool = Field(description="Whether it stands on the winner's path.")


class TraceCandidate(TokenFields):
    """One text that could have been the answer. Outside trees with its tokens."""

    candidate: int = Field(description="Its number, in the order in which candidates were found.")
    node: int | None = Field(description="The deepest node on its path; null outside trees.")
    text: str | None = Field(description="Null without texts.")
    answer: str | None = Field(description="Null where the text has no recognisable one, and without texts.")
    reward: float | None = Field(description="In [0, 1]; null where the strategy scores nothing.")
    step_rewards: list[float]
    visits: int | None = Field(description="Of its node at the end; null unless the search has finished.")
    finished: bool | None = Field(description="False for a text that a limit cut; null unless the search has finished.")
    vote: int | None = Field(description="Which of `votes` it stands behind; null where it had none.")
    winner: int | None = Field(description="Its place among the winners, from 0; null for all others.")


class TraceVote(Reply):
    """One answer and the weight behind it."""

    answer: str | None = Field(description="Null for texts without a recognisable answer, and without texts.")
    weight: float
    count: int


class SearchTrace(SearchListing):
    """One search, whole."""

    options: dict[str, Any] = Field(
        description="Of the strategy. Without texts, phrases that may be the client's are null."
    )
    sampling: TraceSampling
    messages: list[TraceMessage] | None = Field(description="The chat. Null without texts, and for plain completions.")
    prompt: str | None = Field(description="The prompt of a plain completion. Null without texts, and for chats.")
    tree: list[TraceNode] = Field(description="In the order in which nodes joined; empty for samplers.")
    events: list[dict[str, Any]] = Field(
        description="What happened, in its order and with its `seconds`, by `type` as in search_event of streams, less "
        "what stands in `tree` and `candidates`. Replayed they give the visits and values of `tree`."
    )
    candidates: list[TraceCandidate]
    votes: list[TraceVote] = Field(description="Heaviest first.")
