"""The body of ``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from server.schemas.common import Request, Text, at_field
from server.schemas.generation import GenerationFields

REFUSED: dict[str, str] = {
    "tools": "tool calls are not supported yet",
    "tool_choice": "tool calls are not supported yet",
    "functions": "tool calls are not supported yet",
    "function_call": "tool calls are not supported yet",
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

_HARMLESS: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "use_beam_search": (False,),
    "best_of": (1,),
}


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


class ChatRequest(GenerationFields):
    """A chat to be answered by searching."""

    refused: ClassVar[Mapping[str, str]] = REFUSED
    harmless: ClassVar[Mapping[str, tuple[Any, ...]]] = _HARMLESS

    messages: list[ChatMessage] = Field(
        min_length=1, max_length=4096, description="The chat so far; at least one turn is the user's."
    )
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Most tokens of one answer path; search.budget.tokens bounds the whole search."
    )
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Older name of max_completion_tokens, which wins."
    )
    logprobs: bool | None = Field(None, description="Return log-probabilities of the answer's tokens, the model's own.")
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        None, description="Alternatives per token; needs logprobs."
    )
    continue_final_message: bool | None = Field(
        None, description="The last message is the assistant's and is to be continued."
    )

    parallel_tool_calls: Any = Field(None, description="No effect.")

    @property
    def token_limit(self) -> tuple[str, int | None]:
        """The field that bounds each path, and its value."""
        name = "max_completion_tokens" if self.max_completion_tokens else "max_tokens"
        return name, self.max_completion_tokens or self.max_tokens

    @property
    def alternatives(self) -> int:
        """How many likeliest tokens per token the client wants to see."""
        return self.top_logprobs or 0

    @model_validator(mode="after")
    def _consistent(self) -> ChatRequest:
        if self.top_logprobs and not self.logprobs:
            raise at_field("top_logprobs", "needs logprobs")
        if all(message.role != "user" for message in self.messages):
            raise at_field("messages", "at least one must be the user's")
        if self.continue_final_message and self.messages[-1].role != "assistant":
            raise at_field("continue_final_message", "the last message must be the assistant's")
        if self.continue_final_message and self.response_format and self.response_format.type != "text":
            raise at_field("continue_final_message", "a response_format begins with an answer's first token")
        return self
