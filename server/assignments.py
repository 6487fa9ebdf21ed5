"""From a request to a search's task: the plan, the sampling, the room in the context.

How the prompt is read differs between chats and plain completions: ``server.chats`` and ``server.completions``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from mcts.errors import InvalidRequest, PromptTooLong, UnknownModel
from mcts.ports import JsonForm, Prompt, Sampling
from mcts.result import Task
from server.backend import Backend
from server.forms import SCHEMA_PARAM, check_form, form_of
from server.options import own_sampling
from server.plans import Plan, make_plan
from server.presets import SEPARATOR, Preset
from server.runtime import Runtime
from server.schemas.generation import GenerationFields
from server.settings import Settings
from server.tooling import Tooling


@dataclass(frozen=True, slots=True)
class Reading:
    """What the client wrote, as the model reads it, and the tools that the answer may call."""

    prompt: Prompt
    tooling: Tooling | None = None


ReadPrompt = Callable[[Plan, Backend], Awaitable[Reading]]
"""Turns what the client wrote into tokens, as the plan wants it."""


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """A request, understood: what to search, how, and under which names."""

    id: str
    model: str
    task: Task
    plan: Plan
    backend: Backend
    tooling: Tooling | None = None

    @property
    def search_id(self) -> str:
        """Name of the search."""
        return self.task.search_id

    @property
    def cost(self) -> int:
        """Tokens that the search may generate at most; decides its place among those that wait."""
        return self.plan.most_tokens(self.task.max_tokens, self.task.n)


async def assign(
    request: GenerationFields, read: ReadPrompt, runtime: Runtime, reply_id: str, search_id: str
) -> Assignment:
    """Understands a request.

    Args:
        request: The body.
        read: Reads its prompt.
        runtime: What is served.
        reply_id: Names the reply; clients may choose it, so it need not be unique.
        search_id: Names the search; unique.

    Raises:
        NotReady: The server is starting or draining.
        UnknownModel: The model or preset is not served.
        InvalidRequest: A field does not fit, or the prompt is too long.
    """
    backend, settings = runtime.backend, runtime.settings
    preset = find_preset(request.model, runtime)
    plan = make_plan(request.search, preset, request.reasoning_effort, settings, backend)
    reading = await read(plan, backend)
    prompt, tools = reading.prompt, reading.tooling
    max_tokens = _max_tokens(request, len(prompt.token_ids), backend, settings)
    _check_size(request, plan, max_tokens, settings)
    own = own_sampling(plan.strategy, settings.default_temperature, backend.sampling)
    form = form_of(request.response_format, plan, backend) or _calls_form(tools, backend)
    sampling = _sampling(request, own, backend)
    if tools and tools.shows_marks and request.skip_special_tokens is None:
        sampling = replace(sampling, skip_special_tokens=False)
    if form:
        await check_form(form, "tools" if tools else SCHEMA_PARAM, runtime.forms, backend)
    task = Task(
        prompt=prompt,
        sampling=replace(sampling, form=form),
        max_tokens=max_tokens,
        budget=plan.budget,
        seed=request.seed,
        top_logprobs=request.alternatives,
        search_id=f"search-{search_id}",
        n=request.n or 1,
        context=backend.max_model_len,
    )
    return Assignment(reply_id, request.model or settings.model_name, task, plan, backend, tools)


def _calls_form(tools: Tooling | None, backend: Backend) -> JsonForm | None:
    form = tools.held_to() if tools else None
    if form and not backend.constrains:
        raise InvalidRequest("The engine of this server cannot be made to call a tool.", "tool_choice")
    return form


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


def _max_tokens(request: GenerationFields, prompt_tokens: int, backend: Backend, settings: Settings) -> int:
    limit, room = backend.max_model_len, backend.max_model_len - prompt_tokens
    if room < 1:
        raise PromptTooLong(
            f"The prompt has {prompt_tokens} tokens; the model takes {limit} with the answer.", request.prompt_field
        )
    field, wanted = request.token_limit
    if wanted is None:
        return min(request.default_tokens or settings.default_max_tokens, room)
    if wanted > room:
        raise PromptTooLong(
            f"{field} is {wanted}, the prompt has {prompt_tokens} tokens; the model takes {limit} in all.", field
        )
    return wanted


def _check_size(request: GenerationFields, plan: Plan, max_tokens: int, settings: Settings) -> None:
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


def _sampling(request: GenerationFields, default: Sampling, backend: Backend) -> Sampling:
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
        "stop_token_ids": tuple(known_ids(request.stop_token_ids or [], "stop_token_ids", backend)),
        "include_stop": request.include_stop_str_in_output,
        "ignore_eos": request.ignore_eos,
        "min_tokens": request.min_tokens,
        "logit_bias": _logit_bias(request.logit_bias, backend),
        "bad_words": tuple(request.bad_words or ()),
        "allowed_token_ids": tuple(known_ids(request.allowed_token_ids or [], "allowed_token_ids", backend)),
        "skip_special_tokens": request.skip_special_tokens,
    }
    return replace(default, **{name: value for name, value in given.items() if value is not None})


def known_ids(token_ids: list[int], param: str, backend: Backend) -> list[int]:
    """Token ids of a client, if the model has them all.

    Raises:
        InvalidRequest: It has not.
    """
    for token in token_ids:
        if token >= backend.vocab_size:
            raise InvalidRequest(f"{param} names token {token}; the model has {backend.vocab_size}.", param)
    return token_ids


def _logit_bias(biases: dict[str, float] | None, backend: Backend) -> dict[int, float]:
    for key in biases or {}:
        if not (key.isascii() and key.isdigit() and len(key) < 10):
            raise InvalidRequest(f"logit_bias: {key[:20]!r} is not a token id.", "logit_bias")
    ids = {int(key): bias for key, bias in (biases or {}).items()}
    known_ids(list(ids), "logit_bias", backend)
    return ids
