"""The body of ``POST /v1/completions``: raw text, or token ids, to be continued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from server.schemas.common import Text, at_field
from server.schemas.generation import GenerationFields
from server.schemas.sampling import TokenId

DEFAULT_TOKENS = 16
"""OpenAI's default of max_tokens here, which clients know."""

REFUSED: dict[str, str] = {
    "suffix": "the model cannot fill gaps",
    "best_of": "use search.strategy best_of_n instead",
    "use_beam_search": "use search.strategy instead",
    "prompt_logprobs": "log-probabilities of the prompt are not supported",
    "prompt_embeds": "prompts are text or token ids",
}

_HARMLESS: dict[str, tuple[Any, ...]] = {
    "suffix": ("",),
    "best_of": (1,),
    "use_beam_search": (False,),
}

TokenIds = Annotated[list[TokenId], Field(min_length=1, max_length=1_000_000)]


class CompletionRequest(GenerationFields):
    """Prompts to be continued, each by a search of its own."""

    refused: ClassVar[Mapping[str, str]] = REFUSED
    harmless: ClassVar[Mapping[str, tuple[Any, ...]]] = _HARMLESS
    prompt_field: ClassVar[str] = "prompt"
    default_tokens: ClassVar[int | None] = DEFAULT_TOKENS

    prompt: Text | TokenIds | Annotated[list[Text | TokenIds], Field(min_length=1, max_length=1024)] = Field(
        description="Text or token ids, or a list of either. Choice i of prompt p has index p * n + i."
    )
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, description=f"Most tokens of one answer path, {DEFAULT_TOKENS} unless set."
    )
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        None, description="Return log-probabilities of the answer's tokens and of this many alternatives each."
    )
    echo: bool | None = Field(None, description="Put the prompt before each answer.")
    add_special_tokens: bool | None = Field(
        None, description="Begin text prompts with the tokenizer's own special tokens; true unless set."
    )

    @property
    def token_limit(self) -> tuple[str, int | None]:
        """The field that bounds each path, and its value."""
        return "max_tokens", self.max_tokens

    @property
    def alternatives(self) -> int:
        """How many likeliest tokens per token the client wants to see."""
        return self.logprobs or 0

    @property
    def prompts(self) -> list[str | list[int]]:
        """The prompts, one or more."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [self.prompt]  # one prompt of token ids
        return self.prompt

    @model_validator(mode="after")
    def _echoes(self) -> CompletionRequest:
        if self.echo and self.logprobs is not None:
            raise at_field("echo", "with logprobs it asks for log-probabilities of the prompt, which are not supported")
        return self
