"""The replies: completions, chunks, the search summary, models and errors."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from server.schemas.common import Reply

FinishReason = Literal["stop", "length", "tool_calls"]


class TopLogprob(Reply):
    """One of the likeliest tokens at a place."""

    token: str
    logprob: float = Field(description="Natural logarithm, the model's own; -9999 for impossible.")
    bytes: list[int]


class TokenLogprob(TopLogprob):
    """One token of the answer. Text that the server put in, such as a reflection phrase, has logprob 0."""

    top_logprobs: list[TopLogprob]


class Logprobs(Reply):
    """Log-probabilities of the winning path."""

    content: list[TokenLogprob]
    refusal: None = None


class CalledFunction(Reply):
    """What is to be called, and with what."""

    name: str | None = Field(default=None, description="In streams only in a call's first piece.")
    arguments: str = Field(description="A JSON object as text; in streams a piece of it.")


class ToolCall(Reply):
    """A call that the client is asked to make."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class ToolCallPiece(Reply):
    """A piece of a call; the first one of each call has its id, type and name."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: CalledFunction


class Message(Reply):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str | None = Field(description="Null where the answer is nothing but calls.")
    tool_calls: list[ToolCall] | None = None
    reasoning: str | None = Field(
        default=None, description="What the model thought before it answered, where it writes that; in both fields."
    )
    reasoning_content: str | None = None
    refusal: None = None


class Choice(Reply):
    """One answer of the search."""

    index: int
    message: Message
    logprobs: Logprobs | None = None
    finish_reason: FinishReason


class PromptTokensDetails(Reply):
    """More about the prompt's tokens."""

    cached_tokens: int = Field(description="Prompt tokens that came from the engine's cache.")


class CompletionTokensDetails(Reply):
    """More about the generated tokens."""

    reasoning_tokens: int = Field(description="Generated tokens that do not stand in an answer: the search's cost.")


class Usage(Reply):
    """Tokens of one request. The prompt counts once, however often the search reads it."""

    prompt_tokens: int
    completion_tokens: int = Field(description="All generated tokens, those of discarded branches included.")
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class Vote(Reply):
    """One answer and the weight behind it."""

    answer: str | None = Field(description="Null for texts without a recognisable answer.")
    weight: float
    count: int


class SearchTokens(Reply):
    """Where the tokens of a search went."""

    generated: int
    answer: int
    cached: int = Field(description="Prefix tokens that came from the engine's cache, over all calls.")


class FoundAnswer(Reply):
    """One candidate: a text that the search found and that could have been the answer."""

    text: str
    answer: str | None = Field(description="Null where the text has no recognisable answer.")
    reward: float | None = Field(description="In [0, 1]; null where the strategy scores nothing.")
    visits: int = Field(description="Of the node it ends in, when the search ended; 1 outside trees.")
    finished: bool = Field(description="False for a text that a limit cut.")


class SearchSummary(Reply):
    """What the search did."""

    id: str
    strategy: str
    reward: str | None = Field(description="What scored the paths; null where the strategy scores nothing.")
    vote: str | None
    simulations: int = Field(description="Simulations, or samples, that were completed.")
    nodes: int
    depth: int
    value: float | None = Field(description="Reward of the winner, in [0, 1].")
    votes: list[Vote] = Field(description="Heaviest first.")
    stop_reason: str
    seconds: float
    tokens: SearchTokens
    engine_calls: int
    reward_calls: int
    candidates: list[FoundAnswer] | None = Field(
        default=None, description="In the order in which they were found; null unless search.candidates asks for them."
    )


class ChatCompletion(Reply):
    """The reply to a chat."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(description="Unix time in seconds.")
    model: str
    choices: list[Choice]
    usage: Usage
    system_fingerprint: str
    search: SearchSummary


class TextLogprobs(Reply):
    """Log-probabilities of the winning path, one entry a token, in the shape of plain completions."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] = Field(description="The alternatives and the token itself, by their text.")
    text_offset: list[int] = Field(description="Where each token begins in the answer's text, in characters.")


class TextChoice(Reply):
    """One answer to one prompt."""

    index: int
    text: str
    logprobs: TextLogprobs | None = None
    finish_reason: FinishReason | None = Field(description="Null in pieces of a stream that goes on.")


class TextCompletion(Reply):
    """The reply to prompts without a chat."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int = Field(description="Unix time in seconds.")
    model: str
    choices: list[TextChoice]
    usage: Usage
    system_fingerprint: str
    searches: list[SearchSummary] = Field(description="What each prompt's search did, in the order of the prompts.")


class TextCompletionChunk(Reply):
    """One event of a plain completion's stream."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[TextChoice]
    usage: Usage | None = None
    search: SearchSummary | None = Field(default=None, description="In the last finish chunk of each prompt.")
    search_event: dict[str, Any] | None = Field(
        default=None, description="With search.progress 'events': what happened, by type."
    )


class Delta(Reply):
    """What a chunk adds. Fields that add nothing are left out."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    tool_calls: list[ToolCallPiece] | None = None
    reasoning: str | None = Field(
        default=None,
        description="Search progress, and the model's own thought; the same in both fields, for clients that read one.",
    )
    reasoning_content: str | None = None


class ChunkChoice(Reply):
    """One answer's part of a chunk."""

    index: int
    delta: Delta
    logprobs: Logprobs | None = None
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(Reply):
    """One event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    search: SearchSummary | None = Field(default=None, description="In the last finish chunk.")
    search_event: dict[str, Any] | None = Field(
        default=None, description="With search.progress 'events': what happened, by type."
    )


class ErrorDetail(Reply):
    """What went wrong."""

    message: str
    type: str
    param: str | None = Field(description="Dotted name of the field at fault.")
    code: str | None


class ErrorReply(Reply):
    """The shape of every error."""

    error: ErrorDetail


class ModelCard(Reply):
    """A model name that requests can use."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["espalier"] = "espalier"
    root: str
    parent: str | None = None
    name: str
    description: str
    max_model_len: int | None = None
    search: dict[str, Any] = Field(description="The preset's settings.")


class ModelList(Reply):
    """All model names."""

    object: Literal["list"] = "list"
    data: list[ModelCard]
