"""A ``SampleRequest`` as a body for ``/v1/completions``: vLLM's dialect in full, OpenAI's as far as it goes."""

from __future__ import annotations

import json
from typing import Any

from engine.remote.offers import VLLM_STOPS, Offer
from engine.sampling import SEEDS, stop_strings
from engine.tokenizer import HFTokenizer
from mcts.errors import InvalidRequest
from mcts.ports import JsonForm, SampleRequest

PATH = "/v1/completions"

STREAM_INTERVAL = 8
"""Tokens per event where nobody reads along. A call that is cancelled may have up to so many more than is known."""


def completion(
    request: SampleRequest, offer: Offer, tokenizer: HFTokenizer, n: int, *, watched_by_reader: bool
) -> dict[str, Any]:
    """The body of a call.

    Args:
        request: What is wanted.
        offer: What the server can do.
        tokenizer: Makes a text of the prompt for servers that want one.
        n: How many continuations this one call draws.
        watched_by_reader: Whether someone reads along, so that every token should be sent at once.

    Raises:
        InvalidRequest: The server cannot do what is wanted; the error names the field.
    """
    if lack := offer.missing(request):
        raise InvalidRequest(f"The engine that this server uses knows no {lack}.", lack)
    sampling, prefix = request.sampling, list(request.prefix)
    body: dict[str, Any] = {
        "model": offer.model,
        "prompt": prefix if offer.token_prompts else tokenizer.decode(prefix),
        "max_tokens": request.max_tokens,
        "n": n,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "logprobs": request.top_logprobs,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.seed is not None:
        body["seed"] = request.seed % SEEDS
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    return body | (_native(request, watched_by_reader) if offer.native else {})


def watched_stops(request: SampleRequest, offer: Offer) -> tuple[str, ...]:
    """The stop strings that are looked for here: all of them where the server would cut them from the text."""
    return tuple(stop_strings(request)[VLLM_STOPS if offer.native else 0 :])


def watched_tokens(request: SampleRequest, offer: Offer) -> tuple[int, ...]:
    """The stop tokens that are looked for here."""
    return () if offer.native else request.sampling.stop_token_ids


def _native(request: SampleRequest, watched_by_reader: bool) -> dict[str, Any]:
    """What vLLM takes beyond OpenAI's fields. All sampling is spelt out: a server may have defaults of its own."""
    sampling = request.sampling
    return {
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "min_tokens": min(sampling.min_tokens, request.max_tokens),
        "stop": stop_strings(request)[:VLLM_STOPS],
        "include_stop_str_in_output": True,
        "stop_token_ids": list(sampling.stop_token_ids),
        "ignore_eos": sampling.ignore_eos,
        "bad_words": list(sampling.bad_words),
        "allowed_token_ids": list(sampling.allowed_token_ids) or None,
        "skip_special_tokens": sampling.skip_special_tokens,
        "structured_outputs": _structured(sampling.form),
        "return_token_ids": True,
        "return_tokens_as_token_ids": True,
        "stream_interval": None if watched_by_reader else STREAM_INTERVAL,
    }


def _structured(form: JsonForm | None) -> dict[str, Any] | None:
    if form is None:
        return None
    return {"json": json.loads(form.schema)} if form.schema else {"json_object": True}
