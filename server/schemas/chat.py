"""The body of ``POST /v1/chat/completions``.

Every field is honoured, or listed in ``NO_EFFECT``, or refused: those in ``REFUSED`` with the reason, all others as
unknown. docs/api.md is generated from these lists.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from server.schemas.common import Request, Text, at_field
from server.schemas.sampling import SamplingFields
from server.schemas.search import EXAMPLES, Search

NO_EFFECT = (
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "parallel_tool_calls",
)
"""Fields that are accepted and change nothing: they speak of OpenAI's own service, or of tools, which are refused."""

REFUSED: dict[str, str] = {
    "tools": "tool calls are not supported yet",
    "tool_choice": "tool calls are not supported yet",
    "functions": "tool calls are not supported yet",
    "function_call": "tool calls are not supported yet",
    "response_format": "only {'type': 'text'} is supported yet",
    "modalities": "only ['text'] is supported",
    "audio": "only text is written",
    "prediction": "predicted outputs are not supported",
    "web_search_options": "nothing is looked up on the web",
    "verbosity": "the model has no such control; say it in the prompt",
    "use_beam_search": "use search.strategy instead",
    "best_of": "use search.strategy best_of_n instead",
    "chat_template": "templates are the server's own",
    "prompt_logprobs": "log-probabilities of the prompt are not supported",
}
"""Fields that clients know and that are refused by name unless they are null or ask for what happens anyway."""

_HARMLESS: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "use_beam_search": (False,),
    "best_of": (1,),
}

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class TextPart(Request):
    """A piece of a message. Text only: no URL is ever fetched."""

    type: Literal["text"]
    text: Text


class ChatMessage(Request):
    """One turn. Turns copied from an earlier reply may be sent back as they came."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[TextPart] | None = Field(
        None, description="Text, or parts of type text. Null for assistants only."
    )
    name: Text | None = Field(None, description="No effect.")
    refusal: Text | None = Field(None, description="No effect.")
    annotations: list[Any] | None = Field(None, description="No effect.")
    reasoning: Text | None = Field(None, description="No effect: earlier search progress is not shown to the model.")
    reasoning_content: Text | None = Field(None, description="No effect, as reasoning.")
    audio: None = None
    function_call: None = None
    tool_calls: Annotated[list[Any], Field(max_length=0)] | None = None

    @model_validator(mode="after")
    def _has_content(self) -> ChatMessage:
        if self.content is None and self.role != "assistant":
            raise at_field("content", "is missing")
        return self

    @property
    def text(self) -> str:
        """The content as one text."""
        parts = self.content or ""
        return parts if isinstance(parts, str) else "".join(part.text for part in parts)


class StreamOptions(Request):
    """What a stream carries besides text."""

    include_usage: bool | None = Field(None, description="Send one chunk with the usage before the end.")
    include_obfuscation: bool | None = Field(None, description="No effect.")
    continuous_usage_stats: bool | None = Field(None, description="No effect: usage is sent once, at the end.")


class ChatRequest(SamplingFields):
    """A chat to be answered by searching."""

    messages: list[ChatMessage] = Field(
        min_length=1, max_length=4096, description="The chat so far; at least one turn is the user's."
    )
    model: Text = Field(
        "", description="The served model, or one of its presets such as abacus:direct. Empty is the served model."
    )
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Most tokens of one answer path; search.budget.tokens bounds the whole search."
    )
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Older name of max_completion_tokens, which wins."
    )
    n: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Answers wanted: the search's n best distinct ones, best first. May return fewer."
    )
    stream: bool | None = Field(
        None, description="Send the answer, and the search's progress before it, as server-sent events."
    )
    stream_options: StreamOptions | None = None
    logprobs: bool | None = Field(None, description="Return log-probabilities of the answer's tokens, the model's own.")
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        None, description="Alternatives per token; needs logprobs."
    )
    continue_final_message: bool | None = Field(
        None, description="The last message is the assistant's and is to be continued."
    )
    reasoning_effort: Effort | None = Field(
        None,
        description="Scales the preset's budget: minimal 1/8, low 1/4, high 2, xhigh 4, max 8; none decodes plainly.",
    )
    search: Search | None = Field(None, description="How to search.", examples=EXAMPLES)

    user: Any = Field(None, description="No effect.")
    metadata: Any = Field(None, description="No effect.")
    store: Any = Field(None, description="No effect.")
    service_tier: Any = Field(None, description="No effect.")
    safety_identifier: Any = Field(None, description="No effect.")
    prompt_cache_key: Any = Field(None, description="No effect.")
    prompt_cache_retention: Any = Field(None, description="No effect.")
    parallel_tool_calls: Any = Field(None, description="No effect.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_by_name(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        for name in REFUSED.keys() & data.keys():
            if data[name] is not None and data[name] not in _HARMLESS.get(name, ()):
                raise at_field(name, REFUSED[name])
        return {name: value for name, value in data.items() if name not in REFUSED}

    @model_validator(mode="after")
    def _consistent(self) -> ChatRequest:
        if self.stream_options and not self.stream:
            raise at_field("stream_options", "needs stream")
        if self.top_logprobs and not self.logprobs:
            raise at_field("top_logprobs", "needs logprobs")
        if all(message.role != "user" for message in self.messages):
            raise at_field("messages", "at least one must be the user's")
        if self.continue_final_message and self.messages[-1].role != "assistant":
            raise at_field("continue_final_message", "the last message must be the assistant's")
        return self
