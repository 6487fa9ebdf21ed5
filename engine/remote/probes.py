"""Looks whether a server can do what is needed, before a search depends on it. Every lack is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.remote.addresses import Endpoint
from engine.remote.dialect import PATH as COMPLETIONS
from engine.remote.introduction import introduce
from engine.remote.losses import Lost
from engine.remote.offers import PLAIN_LACKS, Offer
from engine.remote.pooling import PATH as POOLING
from engine.remote.pooling import Task, at_tags, pooling, read_pooling
from engine.remote.settings import FleetSettings
from engine.remote.wire import Wire
from engine.tokenizer import HFTokenizer
from mcts.errors import InvalidRequest, StartupError

CANARY = "What is 17 + 25? Ünïcode, 数学 and\n\n\ttabs  tell tokenizers apart."
"""Hardly two tokenizers cut it alike."""

SECONDS = 60.0
"""How long a probe may take: the first call to a server may compile what it needs."""


@dataclass(frozen=True, slots=True)
class GenerationProbe:
    """For servers that generate."""

    settings: FleetSettings
    tokenizer: HFTokenizer

    async def __call__(self, wire: Wire, endpoint: Endpoint) -> Offer:
        """What the server offers.

        Raises:
            Lost: It does not answer, or fails.
            StartupError: It gives no log-probabilities, or has another tokenizer.
        """
        card = await introduce(wire, endpoint, self.settings)
        health = await _health(wire, endpoint)
        ids = self.tokenizer.encode(CANARY)
        try:
            choice = await _completed(wire, endpoint, _native_body(card.name, ids))
        except InvalidRequest:
            return await self._plain(wire, endpoint, Offer(card.name, card.max_model_len, native=False, health=health))
        logprobs = _logprobs(choice, endpoint)
        native = bool(choice.get("token_ids")) or all(str(t).startswith("token_id:") for t in logprobs["tokens"])
        offer = Offer(card.name, card.max_model_len, native=native, health=health)
        if not native:
            return await self._plain(wire, endpoint, offer)
        await self._same_tokenizer(wire, endpoint, card.name, ids)
        return offer

    async def _plain(self, wire: Wire, endpoint: Endpoint, offer: Offer) -> Offer:
        """Any other OpenAI-compatible server: whether it takes token ids, and that it gives log-probabilities."""
        ids, taken = self.tokenizer.encode(CANARY), False
        for prompt in (ids, self.tokenizer.decode(ids)):
            try:
                choice = await _completed(wire, endpoint, _plain_body(offer.model, prompt))
                taken = prompt is ids
                break
            except InvalidRequest as error:
                if prompt is not ids:
                    raise StartupError(f"{endpoint.url} refuses completions: {error}") from error
        _logprobs(choice, endpoint)
        lacks = [f"it gives no token ids and knows no {', '.join(PLAIN_LACKS)}; it draws one continuation a call"]
        if not taken:
            lacks.append("it takes no prompts as token ids: they are sent as text, and its prefix cache may miss")
        return Offer(offer.model, offer.max_model_len, False, taken, offer.health, tuple(lacks))

    async def _same_tokenizer(self, wire: Wire, endpoint: Endpoint, model: str, ids: list[int]) -> None:
        """Compares the server's tokenizer with ours, where it shows it."""
        body = {"model": model, "prompt": CANARY, "add_special_tokens": False}
        try:
            reply = await wire.fetch(endpoint, "/tokenize", body, SECONDS)
        except InvalidRequest:
            return
        theirs = reply.get("tokens") if isinstance(reply, dict) else None
        if theirs is not None and theirs != ids:
            raise StartupError(f"{endpoint.url} has another tokenizer than this server; see the setting tokenizer")


@dataclass(frozen=True, slots=True)
class PoolingProbe:
    """For servers that score. ``tag`` is the token of ``token_classify`` at which scores are read."""

    settings: FleetSettings
    tokenizer: HFTokenizer
    task: Task
    tag: int | None = None

    async def __call__(self, wire: Wire, endpoint: Endpoint) -> Offer:
        """What the server offers.

        Raises:
            Lost: It does not answer, or fails.
            StartupError: It does not score as it should.
        """
        card = await introduce(wire, endpoint, self.settings)
        health = await _health(wire, endpoint)
        prompt = [*self.tokenizer.encode("1 + 1 = 2"), *([] if self.tag is None else [self.tag])]
        try:
            scores = read_pooling(await wire.fetch(endpoint, POOLING, pooling(card.name, self.task, prompt), SECONDS))
        except InvalidRequest as error:
            raise StartupError(f"{endpoint.url} gives no scores of the kind {self.task}: {error}") from error
        if self.tag is None and scores.shape != (1,):
            raise StartupError(f"{endpoint.url} gives {scores.size} numbers for an answer; a reward model gives one")
        if self.tag is not None:
            try:
                at_tags(scores, prompt, self.tag)
            except Lost as lost:
                raise StartupError(f"{endpoint.url} gives no scores at step tags: {lost}") from lost
        return Offer(card.name, card.max_model_len, health=health)


async def _health(wire: Wire, endpoint: Endpoint) -> str:
    """The path by which a server's health can be asked."""
    try:
        await wire.reach(endpoint, "/health", SECONDS)
    except InvalidRequest:
        return "/v1/models"
    return "/health"


async def _completed(wire: Wire, endpoint: Endpoint, body: dict[str, Any]) -> dict[str, Any]:
    """The one choice of a completion.

    Raises:
        Lost: It does not answer, or fails.
        InvalidRequest: It refuses the request.
        StartupError: Its reply is none.
    """
    reply = await wire.fetch(endpoint, COMPLETIONS, body, SECONDS)
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise StartupError(f"{endpoint.url} answers {COMPLETIONS} with something else than one choice")
    return choices[0]


def _logprobs(choice: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """The log-probabilities of a choice, as OpenAI's completions lay them out.

    Raises:
        StartupError: There are none.
    """
    told = choice.get("logprobs")
    complete = isinstance(told, dict) and all(isinstance(told.get(key), list) for key in _LOGPROBS)
    if not isinstance(told, dict) or not complete or not told["tokens"]:
        raise StartupError(
            f"{endpoint.url} gives no log-probabilities of its completions (logprobs with {', '.join(_LOGPROBS)}); "
            "every search needs them"
        )
    return told


_LOGPROBS = ("tokens", "token_logprobs", "top_logprobs")


def _plain_body(model: str, prompt: object) -> dict[str, Any]:
    return {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0, "logprobs": 1}


def _native_body(model: str, ids: list[int]) -> dict[str, Any]:
    return _plain_body(model, ids) | {"return_token_ids": True, "return_tokens_as_token_ids": True, "min_tokens": 1}
