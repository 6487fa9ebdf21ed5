"""From a chat request to a search's task: the prompt's tokens, the sampling, the room in the context."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from mcts.errors import InvalidRequest, PromptTooLong, UnknownModel
from mcts.ports import Message, Prompt, Sampling
from mcts.result import Task
from mcts.strategies.cot import CotOptions, instructed
from server.backend import Backend
from server.options import own_sampling
from server.plans import Plan, make_plan
from server.presets import SEPARATOR, Preset
from server.runtime import Runtime
from server.schemas.chat import ChatRequest
from server.settings import Settings

ROLES = {"developer": "system"}
"""Roles under another name in the model's template."""


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """A request, understood: what to search, how, and under which names."""

    id: str
    model: str
    task: Task
    plan: Plan
    backend: Backend

    @property
    def search_id(self) -> str:
        """Name of the search."""
        return self.task.search_id


async def assign(request: ChatRequest, runtime: Runtime, request_id: str, search_id: str) -> Assignment:
    """Understands a request.

    Args:
        request: The body.
        runtime: What is served.
        request_id: Names the completion; clients may choose it, so it need not be unique.
        search_id: Names the search; unique.

    Raises:
        NotReady: The server is starting or draining.
        UnknownModel: The model or preset is not served.
        InvalidRequest: A field does not fit, or the prompt is too long.
    """
    backend, settings = runtime.backend, runtime.settings
    preset = find_preset(request.model, runtime)
    plan = make_plan(request.search, preset, request.reasoning_effort, settings, backend)
    prompt = await _prompt(request, plan, backend)
    max_tokens = _max_tokens(request, len(prompt.token_ids), backend, settings)
    _check_size(request, plan, max_tokens, settings)
    task = Task(
        prompt=prompt,
        sampling=_sampling(
            request, own_sampling(plan.strategy, settings.default_temperature, backend.sampling), backend
        ),
        max_tokens=max_tokens,
        budget=plan.budget,
        seed=request.seed,
        top_logprobs=request.top_logprobs or 0,
        search_id=f"search-{search_id}",
        n=request.n or 1,
        context=backend.max_model_len,
    )
    return Assignment(f"chatcmpl-{request_id}", request.model or settings.model_name, task, plan, backend)


def find_preset(model: str, runtime: Runtime) -> Preset:
    """The preset behind a model name; the empty name is the served model.

    Raises:
        UnknownModel: It is not served.
    """
    name, _, suffix = (model or runtime.settings.model_name).partition(SEPARATOR)
    if model == runtime.settings.model_name:  # a served name may hold a colon itself
        name, suffix = model, ""
    preset = runtime.presets.get(suffix or runtime.settings.default_preset)
    if name != runtime.settings.model_name or preset is None:
        raise UnknownModel(f"The model {model[:100]!r} is not served here; GET /v1/models lists those that are.")
    return preset


async def _prompt(request: ChatRequest, plan: Plan, backend: Backend) -> Prompt:
    messages = tuple(Message(ROLES.get(m.role, m.role), m.text) for m in request.messages)
    if isinstance(plan.options, CotOptions):
        messages = instructed(messages, plan.options.instruction)
    prefill = messages[-1].content if request.continue_final_message else ""

    def render() -> list[int]:
        return backend.tokenizer.render(messages, continue_final=bool(request.continue_final_message))

    token_ids = await asyncio.to_thread(render)  # a long chat takes a while, and the event loop serves others
    return Prompt(tuple(token_ids), messages, prefill=prefill)


def _max_tokens(request: ChatRequest, prompt_tokens: int, backend: Backend, settings: Settings) -> int:
    limit, room = backend.max_model_len, backend.max_model_len - prompt_tokens
    if room < 1:
        raise PromptTooLong(
            f"The prompt has {prompt_tokens} tokens; the model takes {limit} with the answer.", "messages"
        )
    wanted = request.max_completion_tokens or request.max_tokens
    if wanted is None:
        return min(settings.default_max_tokens, room)
    if wanted > room:
        field = "max_completion_tokens" if request.max_completion_tokens else "max_tokens"
        raise PromptTooLong(
            f"{field} is {wanted}, the prompt has {prompt_tokens} tokens; the model takes {limit} in all.", field
        )
    return wanted


def _check_size(request: ChatRequest, plan: Plan, max_tokens: int, settings: Settings) -> None:
    if (request.n or 1) > settings.max_choices:
        raise InvalidRequest(f"n is {request.n}; this server allows at most {settings.max_choices}.", "n")
    most, cap = plan.most_tokens(max_tokens, request.n or 1), settings.max_search_tokens
    if most > cap:
        raise InvalidRequest(
            f"This search could generate {most} tokens (simulations x branch x max_tokens); this server allows {cap}. "
            "Lower one of them or set search.budget.tokens.",
            "search.budget.tokens",
        )
    if (request.min_tokens or 0) > max_tokens:
        raise InvalidRequest(f"min_tokens is {request.min_tokens}, above max_tokens ({max_tokens}).", "min_tokens")


def _sampling(request: ChatRequest, default: Sampling, backend: Backend) -> Sampling:
    stop = [request.stop] if isinstance(request.stop, str) else request.stop or []
    given: dict[str, Any] = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": None if request.top_k is None else max(0, request.top_k),
        "min_p": request.min_p,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "repetition_penalty": request.repetition_penalty,
        "stop": tuple(stop),
        "stop_token_ids": _token_ids(request.stop_token_ids, "stop_token_ids", backend),
        "include_stop": request.include_stop_str_in_output,
        "ignore_eos": request.ignore_eos,
        "min_tokens": request.min_tokens,
        "logit_bias": _logit_bias(request.logit_bias, backend),
        "bad_words": tuple(request.bad_words or ()),
        "allowed_token_ids": _token_ids(request.allowed_token_ids, "allowed_token_ids", backend),
        "skip_special_tokens": request.skip_special_tokens,
    }
    return replace(default, **{name: value for name, value in given.items() if value is not None})


def _token_ids(ids: list[int] | None, param: str, backend: Backend) -> tuple[int, ...]:
    for token in ids or ():
        if token >= backend.vocab_size:
            raise InvalidRequest(f"{param} names token {token}; the model has {backend.vocab_size}.", param)
    return tuple(ids or ())


def _logit_bias(biases: dict[str, float] | None, backend: Backend) -> dict[int, float]:
    for key in biases or {}:
        if not (key.isascii() and key.isdigit() and len(key) < 10):
            raise InvalidRequest(f"logit_bias: {key[:20]!r} is not a token id.", "logit_bias")
    ids = {int(key): bias for key, bias in (biases or {}).items()}
    _token_ids(list(ids), "logit_bias", backend)
    return ids
