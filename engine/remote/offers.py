"""What a server can do, as far as it matters here."""

from __future__ import annotations

from dataclasses import dataclass

from mcts.ports import SampleRequest

VLLM_STOPS = 4
"""Stop strings that vLLM's server takes in one request (VLLM_MAX_STOP_STRINGS); more are looked for here."""

PLAIN_TOP_LOGPROBS = 5
"""Alternatives that OpenAI's completions give."""

PLAIN_LACKS: dict[str, object] = {
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "ignore_eos": False,
    "min_tokens": 0,
    "bad_words": (),
    "allowed_token_ids": (),
    "form": None,
}
"""Fields of ``Sampling`` that OpenAI's completions do not know, each with the value that asks for nothing."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one server can do.

    Args:
        model: What it calls its model.
        max_model_len: Longest prompt plus answer in tokens; None where it does not say.
        native: Whether it speaks vLLM's dialect: prompts and replies as token ids, vLLM's sampling parameters, stop
            strings kept in the text. Any other server is asked for text, one continuation at a time, and stopped here.
        token_prompts: Whether it takes prompts as token ids.
        health: Path of its health check.
        lacks: What it does not offer, in words, for the operator.
    """

    model: str
    max_model_len: int | None = None
    native: bool = True
    token_prompts: bool = True
    health: str = "/health"
    lacks: tuple[str, ...] = ()

    def missing(self, request: SampleRequest) -> str | None:
        """The first thing in a request that the server cannot do, by the name of its field; None when it can do all."""
        if self.native:
            return None
        if request.top_logprobs > PLAIN_TOP_LOGPROBS:
            return "top_logprobs"
        wanted = request.sampling
        return next((name for name, unset in PLAIN_LACKS.items() if getattr(wanted, name) != unset), None)
