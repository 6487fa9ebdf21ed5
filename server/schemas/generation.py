"""What the bodies of chats and of plain completions have in common.

Every field is honoured, or described as having no effect (those speak of OpenAI's own service), or refused: those of a
schema's ``refused`` with the reason, all others as unknown. docs/api.md is generated from these descriptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from server.schemas.common import Request, Text, at_field, depth_of, passed_over
from server.schemas.response_format import ResponseFormat
from server.schemas.sampling import SamplingFields
from server.schemas.search import EXAMPLES, Search

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

DEEPEST_BODY = 100
"""Objects and lists inside each other: what a JSON Schema may have, and some room for where it stands."""


class StreamOptions(Request):
    """What a stream carries besides text."""

    include_usage: bool | None = Field(None, description="Send one chunk with the usage before the end.")
    include_obfuscation: bool | None = Field(None, description="No effect.")
    continuous_usage_stats: bool | None = Field(None, description="No effect: usage is sent once, at the end.")


class GenerationFields(SamplingFields):
    """What to answer with, how many answers, how they come, and how to search for them."""

    refused: ClassVar[Mapping[str, str]] = {}
    """Fields that clients know and that are refused by name unless they are null or ask for what happens anyway."""

    harmless: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    """Values of refused fields that ask for what happens anyway."""

    prompt_field: ClassVar[str] = "messages"
    """Where the prompt stands."""

    default_tokens: ClassVar[int | None] = None
    """Most tokens of a path where the client sets none; None leaves it to the server."""

    model: Text = Field(
        "", description="The served model, or one of its presets such as abacus:direct. Empty is the served model."
    )
    n: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Answers wanted: the search's n best distinct ones, best first. May return fewer."
    )
    stream: bool | None = Field(
        None, description="Send the answer, and the search's progress before it, as server-sent events."
    )
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = Field(
        None,
        description="text, json_object, or json_schema with a schema that the answer is held to, in strategies that "
        "write whole answers.",
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

    @property
    def token_limit(self) -> tuple[str, int | None]:
        """The field that bounds each path, and its value."""
        raise NotImplementedError

    @property
    def alternatives(self) -> int:
        """How many likeliest tokens per token the client wants to see."""
        raise NotImplementedError

    @model_validator(mode="before")
    @classmethod
    def _refuse_by_name(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if depth_of(data) > DEEPEST_BODY:
            raise ValueError(f"the body is nested more than {DEEPEST_BODY} deep")
        for name in cls.refused.keys() & data.keys():
            if data[name] is not None and data[name] not in cls.harmless.get(name, ()):
                raise at_field(name, cls.refused[name])
        return cls._without_unknown({name: value for name, value in data.items() if name not in cls.refused})

    @classmethod
    def _without_unknown(cls, data: dict[str, Any]) -> dict[str, Any]:
        noted = passed_over.get()
        if noted is None:
            return data  # what is unknown in it is refused as any extra field
        noted += [name for name in data if name not in cls.model_fields]
        return {name: value for name, value in data.items() if name in cls.model_fields}

    @model_validator(mode="after")
    def _streams(self) -> Self:
        if self.stream_options and not self.stream:
            raise at_field("stream_options", "needs stream")
        return self
