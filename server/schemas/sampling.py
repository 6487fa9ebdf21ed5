"""The sampling fields of a request: OpenAI's and vLLM's extensions, with their ranges."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from server.schemas.common import Request, Text

TokenId = Annotated[int, Field(ge=0, le=2**31 - 1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
StopText = Annotated[Text, Field(min_length=1, max_length=1000)]


class SamplingFields(Request):
    """How tokens are drawn, in every call of the search alike."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        None, description="0 always takes the likeliest token; higher is more varied. A search needs variety: above 0."
    )
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Draw from the likeliest tokens that hold this share."
    )
    top_k: Annotated[int, Field(ge=-1, le=2**31 - 1)] | None = Field(
        None, description="Draw from this many likeliest tokens; 0 or -1 is off."
    )
    min_p: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Drop tokens less likely than this share of the likeliest one."
    )
    presence_penalty: Penalty | None = Field(None, description="Higher avoids tokens that already occurred.")
    frequency_penalty: Penalty | None = Field(None, description="Higher avoids tokens the more often they occurred.")
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = Field(
        None, description="Divides the odds of tokens that occurred, those of the prompt included; 1 is off."
    )
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        None, description="Token id (as text) to the bias added to its logit.", max_length=1024
    )
    stop: StopText | Annotated[list[StopText], Field(max_length=16)] | None = Field(
        None, description="Up to 16 texts, each of which ends an answer and is cut from it."
    )
    stop_token_ids: list[TokenId] | None = Field(
        None, description="Token ids, each of which ends an answer.", max_length=128
    )
    include_stop_str_in_output: bool | None = Field(None, description="Keep the stop text in the answer.")
    ignore_eos: bool | None = Field(None, description="Write on past the end-of-sequence token.")
    min_tokens: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        None, description="Tokens before an answer may end."
    )
    bad_words: list[StopText] | None = Field(None, description="Texts that are never written.", max_length=128)
    allowed_token_ids: list[TokenId] | None = Field(
        None, description="The only token ids that may be drawn.", min_length=1, max_length=100_000
    )
    skip_special_tokens: bool | None = Field(None, description="Leave special tokens out of the text; true unless set.")
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = Field(
        None, description="With width 1 and a deterministic engine, equal seeds give equal trees."
    )
