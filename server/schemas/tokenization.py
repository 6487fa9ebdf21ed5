"""The bodies and replies of ``/tokenize`` and ``/detokenize``, in vLLM's shapes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from server.schemas.chat import ChatMessage
from server.schemas.common import Reply, Request, Text, at_field
from server.schemas.completion import TokenIds
from server.schemas.tools import MOST_TOOLS, Tool

MODEL = Field("", description="The served model or one of its presets. Empty is the served model.")


class TokenizeRequest(Request):
    """A text, or a chat, to be turned into token ids."""

    model: Text = MODEL
    prompt: Text | None = Field(None, description="A text.")
    messages: list[ChatMessage] | None = Field(None, min_length=1, max_length=4096, description="A chat.")
    tools: Annotated[list[Tool], Field(max_length=MOST_TOOLS)] | None = Field(
        None, description="Tools on offer in the chat."
    )
    add_special_tokens: bool | None = Field(
        None, description="Add the tokenizer's own special tokens; unless set, true for texts and false for chats."
    )
    add_generation_prompt: bool | None = Field(
        None, description="End a chat with the beginning of the assistant's turn; true unless set."
    )
    continue_final_message: bool | None = Field(
        None, description="Leave the chat's last message, which is the assistant's, open to be continued."
    )
    return_token_strs: bool | None = Field(None, description="Also give each token's text.")

    @model_validator(mode="after")
    def _one_of_two(self) -> TokenizeRequest:
        if (self.prompt is None) == (self.messages is None):
            raise at_field("prompt", "either prompt or messages is needed, and not both")
        if self.prompt is not None:
            for name in ("add_generation_prompt", "continue_final_message", "tools"):
                if getattr(self, name):
                    raise at_field(name, "needs messages")
        elif self.add_special_tokens:
            raise at_field("add_special_tokens", "the chat template adds those that a chat needs")
        if self.continue_final_message:
            if self.add_generation_prompt:
                raise at_field("continue_final_message", "does not go with add_generation_prompt")
            if self.messages and self.messages[-1].role != "assistant":
                raise at_field("continue_final_message", "the last message must be the assistant's")
        return self


class DetokenizeRequest(Request):
    """Token ids to be turned into text."""

    model: Text = MODEL
    tokens: TokenIds


class Tokens(Reply):
    """The token ids of a text or chat."""

    count: int
    max_model_len: int = Field(description="Most tokens of prompt and answer together.")
    tokens: list[int]
    token_strs: list[str] | None = Field(default=None, description="Each token's text, where it was asked for.")


class Detokenized(Reply):
    """The text of token ids, special tokens included."""

    prompt: str
