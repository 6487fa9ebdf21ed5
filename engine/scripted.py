"""The scripted twin of the real engine: a small declared "model" that answers in microseconds, exactly as declared.

It honours what searches rely on (seeds, delimiters, stop strings, token limits, end of sequence, top alternatives,
streams, cancellation), draws with ``temperature``, ``top_k``, ``top_p`` and ``allowed_token_ids``, and has no use for
the other sampling parameters. Latency and failures are on demand.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from engine.scripted_language import END, EOS, SPECIAL, Script, ScriptedTokenizer, default_script
from mcts.ports import NO_TOKEN, Continuation, Finish, SampleRequest, Sampling

Odds = dict[int, float]
"""Probability of each token that may come next."""

_ASSISTANT = SPECIAL.index("<assistant>")


def _no_latency(_: SampleRequest, __: int) -> float:
    return 0.0


def _no_failure(_: SampleRequest, __: int) -> Exception | None:
    return None


@dataclass(eq=False)
class ScriptedEngine:
    """A declared model behind the engine port.

    Args:
        script: What may come next after which text.
        tokenizer: Its tokenizer; pieces of the script that are tokens there make the script's steps single tokens.
        latency: Seconds that a call takes, given the request and the call's number from 0; sets the order of replies.
        token_seconds: Seconds between the tokens of a stream.
        failure: The exception with which a call ends, given the same; None for none.
        sleep: How time passes; inject another where time is virtual.
    """

    script: Script = default_script
    tokenizer: ScriptedTokenizer = field(default_factory=ScriptedTokenizer)
    latency: Callable[[SampleRequest, int], float] = _no_latency
    token_seconds: float = 0.0
    failure: Callable[[SampleRequest, int], Exception | None] = _no_failure
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    calls: int = 0
    open_calls: int = 0
    aborted_calls: int = 0
    generated_tokens: int = 0
    requests: deque[SampleRequest] = field(default_factory=lambda: deque(maxlen=4096))  # the latest ones

    async def sample(self, request: SampleRequest) -> Sequence[Continuation]:
        """Draws ``request.n`` continuations, in the order of their seeds."""
        with self._open(request) as number:
            await self.sleep(self.latency(request, number))
            self._fail_on_demand(request, number)
            drawn = [self._draw(request, i) for i in range(request.n)]
            self.generated_tokens += sum(len(one.token_ids) for one in drawn)
            return drawn

    async def stream(self, request: SampleRequest) -> AsyncIterator[Continuation]:
        """Draws one continuation, a token a piece."""
        with self._open(request) as number:
            await self.sleep(self.latency(request, number))
            self._fail_on_demand(request, number)
            for piece in _pieces(self._draw(request, 0)):
                await self.sleep(self.token_seconds)
                self.generated_tokens += len(piece.token_ids)
                yield piece

    @contextmanager
    def _open(self, request: SampleRequest) -> Iterator[int]:
        """Counts a call while it is open, and as aborted when it does not come to its end."""
        number, self.calls, self.open_calls = self.calls, self.calls + 1, self.open_calls + 1
        self.requests.append(request)
        try:
            yield number
        except (asyncio.CancelledError, GeneratorExit):
            self.aborted_calls += 1
            raise
        finally:
            self.open_calls -= 1

    def _fail_on_demand(self, request: SampleRequest, number: int) -> None:
        error = self.failure(request, number)
        if error is not None:
            raise error

    def _draw(self, request: SampleRequest, i: int) -> Continuation:
        """Writes continuation ``i`` token by token."""
        chance = random.Random(None if request.seed is None else request.seed + i)
        text, finish, stop, end = "", Finish.LENGTH, None, None
        tokens: list[int] = []
        offsets: list[int] = []
        odds: list[Odds] = []
        while len(tokens) < request.max_tokens:
            odds.append(self._odds((*request.prefix, *tokens)))
            tokens.append(_chosen(odds[-1], request.sampling, chance))
            text += "" if tokens[-1] < len(SPECIAL) else self.tokenizer.piece(tokens[-1])
            offsets.append(len(text))
            ending = _ending(tokens[-1], text, request)
            if ending is not None:
                finish, stop, end = ending
                break
        text = text[:end]
        return _continuation(tokens, text, offsets, odds, request.top_logprobs, finish, stop)

    def _odds(self, token_ids: Sequence[int]) -> Odds:
        """What the script says about the next token; the end of sequence where it says nothing."""
        start = _answer_start(token_ids)
        prompt, answer = self.tokenizer.decode(token_ids[:start]), token_ids[start:]
        for known in range(len(answer), -1, -1):  # the script knows places between pieces: the last of them counts
            options = self.script(prompt, self.tokenizer.decode(answer[:known]))
            inside = tuple(answer[known:])
            odds: Odds = {}
            for piece, probability in options or ():
                tokens = (EOS,) if piece == END else tuple(self.tokenizer.encode(piece))
                if tokens[: len(inside)] == inside and len(tokens) > len(inside):
                    following = tokens[len(inside)]
                    odds[following] = odds.get(following, 0.0) + probability
            if odds:
                total = math.fsum(odds.values())
                return {token: probability / total for token, probability in odds.items()}
        return {EOS: 1.0}


def _answer_start(token_ids: Sequence[int]) -> int:
    """Where the assistant's last turn begins; 0 in a text that is no chat."""
    turns = [place for place, token in enumerate(token_ids) if token == _ASSISTANT]
    return turns[-1] + 1 if turns else 0


def _chosen(odds: Odds, sampling: Sampling, chance: random.Random) -> int:
    """Draws a token."""
    if sampling.allowed_token_ids:
        odds = {token: odds.get(token, 1e-9) for token in sampling.allowed_token_ids}
    ranked = sorted(odds.items(), key=lambda entry: -entry[1])
    if sampling.temperature == 0:
        return ranked[0][0]
    if sampling.top_k:
        ranked = ranked[: sampling.top_k]
    weights = [probability ** (1 / sampling.temperature) for _, probability in ranked]
    total, kept, mass = math.fsum(weights), 0, 0.0
    while kept < len(ranked) and (not kept or mass < sampling.top_p * total - 1e-12):
        mass += weights[kept]
        kept += 1
    return chance.choices([token for token, _ in ranked[:kept]], weights[:kept])[0]


def _ending(token: int, text: str, request: SampleRequest) -> tuple[Finish, str | int | None, int | None] | None:
    """Why the text ends with this token, what stopped it and where it is cut; None when it goes on."""
    sampling = request.sampling
    if token == EOS and not sampling.ignore_eos:
        return Finish.EOS, None, None
    if token in sampling.stop_token_ids:
        return Finish.STOP, token, None
    found = [(text.find(stop), stop) for stop in sampling.stop if stop in text]
    if found:
        place, stop = min(found)
        return Finish.STOP, stop, place + len(stop) if sampling.include_stop else place
    if any(delimiter in text for delimiter in request.delimiters):
        return Finish.DELIMITER, None, None
    return None


def _continuation(
    tokens: list[int],
    text: str,
    offsets: list[int],
    odds: list[Odds],
    top: int,
    finish: Finish,
    stop: str | int | None,
) -> Continuation:
    count = len(tokens)
    top_ids = np.full((count, top), NO_TOKEN, dtype=np.int32)
    top_logprobs = np.full((count, top), -np.inf, dtype=np.float32)
    for place, choices in enumerate(odds):
        ranked = sorted(choices.items(), key=lambda entry: -entry[1])[:top]
        for rank, (token, probability) in enumerate(ranked):
            top_ids[place, rank], top_logprobs[place, rank] = token, math.log(probability)
    logprobs = [math.log(choices.get(token, 1e-9)) for token, choices in zip(tokens, odds, strict=True)]
    return Continuation(
        token_ids=tuple(tokens),
        text=text,
        offsets=np.minimum(np.array(offsets, dtype=np.int32), len(text)),
        logprobs=np.array(logprobs, dtype=np.float32),
        top_ids=top_ids,
        top_logprobs=top_logprobs,
        finish=finish,
        stop=stop,
    )


def _pieces(whole: Continuation) -> Iterator[Continuation]:
    """A continuation token by token, as a stream gives it."""
    last = len(whole.token_ids) - 1
    start = 0
    for i, token in enumerate(whole.token_ids):
        end = int(whole.offsets[i])
        yield Continuation(
            token_ids=(token,),
            text=whole.text[start:end],
            offsets=np.array([end - start], dtype=np.int32),
            logprobs=whole.logprobs[i : i + 1],
            top_ids=whole.top_ids[i : i + 1],
            top_logprobs=whole.top_logprobs[i : i + 1],
            finish=whole.finish if i == last else None,
            stop=whole.stop if i == last else None,
        )
        start = end
