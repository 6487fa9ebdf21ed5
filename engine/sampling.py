"""A ``SampleRequest`` in vLLM's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcts.errors import InvalidRequest
from mcts.ports import JsonForm, SampleRequest

if TYPE_CHECKING:
    from vllm.sampling_params import SamplingParams, StructuredOutputsParams

GREEDY_BELOW = 1e-5
"""Temperatures below this are greedy to vLLM, which then refuses to draw more than one."""

SEEDS = 1 << 62
"""vLLM's generators take 64 bits and it adds the continuation's index; larger or negative seeds are folded."""


def is_greedy(request: SampleRequest) -> bool:
    """Whether every continuation will be the same."""
    return request.sampling.temperature < GREEDY_BELOW


def stop_strings(request: SampleRequest) -> list[str]:
    """Everything that ends a continuation by its text. The client's own come first: they win a tie."""
    return list(dict.fromkeys((*request.sampling.stop, *request.delimiters)))


def sampling_params(request: SampleRequest, *, n: int, stream: bool) -> SamplingParams:
    """The sampling parameters that vLLM takes for a request.

    vLLM is asked to keep stop strings in its output, because delimiters stay and a client's are cut here, where both
    can be told apart. It is spared decoding altogether where no stop string needs it: decoding every alternative of
    every token would otherwise take about half of the time of a small model.

    Args:
        request: What is wanted.
        n: How many continuations this one engine request draws.
        stream: Whether pieces are wanted as they come.

    Raises:
        InvalidRequest: vLLM refuses a value.
    """
    from vllm.exceptions import VLLMClientError
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    sampling, stops = request.sampling, stop_strings(request)
    try:
        return SamplingParams(
            n=n,
            max_tokens=request.max_tokens,
            min_tokens=min(sampling.min_tokens, request.max_tokens),
            seed=None if request.seed is None else request.seed % SEEDS,
            logprobs=request.top_logprobs,
            flat_logprobs=True,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            repetition_penalty=sampling.repetition_penalty,
            stop=stops,
            include_stop_str_in_output=True,
            detokenize=bool(stops),
            stop_token_ids=list(sampling.stop_token_ids),
            ignore_eos=sampling.ignore_eos,
            logit_bias=dict(sampling.logit_bias) or None,
            bad_words=list(sampling.bad_words),
            allowed_token_ids=list(sampling.allowed_token_ids) or None,
            skip_special_tokens=sampling.skip_special_tokens,
            structured_outputs=_structured(sampling.form),
            output_kind=RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY,
            skip_clone=True,
        )
    except (VLLMClientError, ValueError) as error:
        raise InvalidRequest(str(error), getattr(error, "parameter", None)) from error


def _structured(form: JsonForm | None) -> StructuredOutputsParams | None:
    from vllm.sampling_params import StructuredOutputsParams

    if form is None:
        return None
    return StructuredOutputsParams(json=form.schema) if form.schema else StructuredOutputsParams(json_object=True)
