"""The body of ``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from server.schemas.common import Request, Text, at_field
from server.schemas.generation import GenerationFields
from server.schemas.tools import MOST_TOOLS, NamedTool, Tool, ToolCall, ToolChoice

REFUSED: dict[str, str] = {
    "functions": "the older name of tools",
    "function_call": "the older name of tool_choice",
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
    "functions": ([],),
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

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | list[TextPart] | None = Field(
        None, description="Text, or parts of type text. Null for assistants only."
    )
    tool_calls: Annotated[list[ToolCall], Field(max_length=MOST_TOOLS)] | None = Field(
        None, description="Of assistants: the calls that this turn made."
    )
    tool_call_id: Text | None = Field(None, description="Of tools: the call that this turn answers.")
    name: Text | None = Field(None, description="No effect.")
    refusal: Text | None = Field(None, description="No effect.")
    annotations: list[Any] | None = Field(None, description="No effect.")
    reasoning: Text | None = Field(None, description="No effect: earlier search progress is not shown to the model.")
    reasoning_content: Text | None = Field(None, description="No effect, as reasoning.")
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _has_content(self) -> ChatMessage:
        if self.content is None and self.role != "assistant":
            raise at_field("content", "is missing")
        if self.tool_calls and self.role != "assistant":
            raise at_field("tool_calls", "only assistants call tools")
        if (self.tool_call_id is None) == (self.role == "tool"):
            raise at_field("tool_call_id", "is missing" if self.role == "tool" else "only tools answer calls")
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

    tools: Annotated[list[Tool], Field(max_length=MOST_TOOLS)] | None = Field(
        None, description="Functions that the model may call, in strategies that write whole answers."
    )
    tool_choice: ToolChoice | None = Field(
        None,
        description="auto (unless set), none, or, by constrained decoding, required or the one function to call.",
    )
    parallel_tool_calls: bool | None = Field(None, description="False keeps an answer to its first call.")

    @property
    def offered(self) -> list[Tool]:
        """The tools that the model may call."""
        return [] if self.tool_choice == "none" else self.tools or []

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
        if self.continue_final_message and (self.messages[-1].role != "assistant" or self.messages[-1].tool_calls):
            raise at_field("continue_final_message", "the last message must be the assistant's, without tool calls")
        if self.continue_final_message and self.response_format and self.response_format.type != "text":
            raise at_field("continue_final_message", "a response_format begins with an answer's first token")
        return self

    @model_validator(mode="after")
    def _callable(self) -> ChatRequest:
        names = [tool.function.name for tool in self.tools or []]
        if twice := next((name for place, name in enumerate(names) if name in names[:place]), None):
            raise at_field("tools", f"two of them are called {twice}")
        choice = self.tool_choice
        if choice in (None, "none", "auto"):  # a named tool has no hash
            return self
        if not names:
            raise at_field("tool_choice", "needs tools")
        if isinstance(choice, NamedTool) and choice.function.name not in names:
            raise at_field("tool_choice", f"there is no tool called {choice.function.name}")
        if self.continue_final_message:
            raise at_field("continue_final_message", "a call that is required begins with an answer's first token")
        return self

    @model_validator(mode="after")
    def _one_form(self) -> ChatRequest:
        if self.offered and self.response_format and self.response_format.type != "text":
            raise at_field("response_format", "an answer held to a form calls no tools; set tool_choice none")
        return self

    @model_validator(mode="after")
    def _answers_calls(self) -> ChatRequest:
        made: set[str] = set()
        for place, message in enumerate(self.messages):
            if message.tool_call_id is not None and message.tool_call_id not in made:
                raise at_field(f"messages.{place}.tool_call_id", "no earlier turn made this call")
            made |= {call.id for call in message.tool_calls or []}
        return self
