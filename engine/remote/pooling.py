"""Reward models on vLLM pooling servers: the ports of ``engine.pooling``, over a fleet."""

from __future__ import annotations

import itertools
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from engine.remote.affinity import current_search
from engine.remote.fleet import Fleet
from engine.remote.losses import Lost, garbage
from engine.remote.member import Member
from engine.tokenizer import HFTokenizer
from mcts.errors import InvalidRequest, PathTooLong, RewardCallFailed, StartupError
from mcts.ports import FloatArray
from mcts.together import together

PATH = "/pooling"

Task = Literal["token_classify", "classify"]


def pooling(model: str, task: Task, prompt: Sequence[int]) -> dict[str, Any]:
    """The body of a call: token ids in, probabilities at each token out (``token_classify``), or one raw logit."""
    return {
        "model": model,
        "task": task,
        "input": list(prompt),
        "use_activation": task == "token_classify",
        "encoding_format": "float",
        "add_special_tokens": False,
    }


def read_pooling(reply: Any) -> FloatArray:
    """The numbers of a reply.

    Raises:
        Lost: There are none.
    """
    try:
        (entry,) = reply["data"]
        return np.asarray(entry["data"], dtype=np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise garbage("a pooling reply that makes no sense") from error


def at_tags(rows: FloatArray, prompt: Sequence[int], tag: int) -> FloatArray:
    """The rows at the step tags. A server that was not told which token is the tag gives a row for every token.

    Raises:
        Lost: There are neither as many rows as tags nor as many as tokens.
    """
    tags = [place for place, token in enumerate(prompt) if token == tag]
    if rows.ndim == 2 and len(rows) == len(tags):
        return rows
    if rows.ndim == 2 and len(rows) == len(prompt):
        return rows[tags]
    raise garbage(f"scores of shape {rows.shape} for {len(prompt)} tokens with {len(tags)} step tags")


class RemoteScores(ABC):
    """What both kinds share: all prompts go to the servers at once. Cancelling a call closes its connections.

    Args:
        fleet: The servers.
        tokenizer: The reward model's own.
        task: What they are asked.
        max_model_len: Longest prompt in tokens.
    """

    def __init__(self, fleet: Fleet, tokenizer: HFTokenizer, task: Task, max_model_len: int) -> None:
        self.fleet, self.tokenizer, self.max_model_len = fleet, tokenizer, max_model_len
        self._task = task
        self._numbers = itertools.count()
        self._nameless = uuid.uuid4().hex[:12]

    async def _pooled(self, prompts: Sequence[Sequence[int]]) -> list[FloatArray]:
        """What the servers give for each prompt; all of one search go to one server.

        Raises:
            PathTooLong: A prompt is longer than the model reads.
            RewardCallFailed: A call failed on several servers, or was refused.
            RewardDead: No server answers.
        """
        for prompt in prompts:
            if len(prompt) >= self.max_model_len:
                told = f"The reward model reads fewer than {self.max_model_len} tokens; a path has {len(prompt)}."
                raise PathTooLong(told)
        key = current_search() or f"{self._nameless}-{next(self._numbers)}"
        return await together(self._pool(key, prompt) for prompt in prompts)

    async def _pool(self, key: str, prompt: Sequence[int]) -> FloatArray:
        call = self.fleet.call(key, 1)
        while True:
            member = await call.next()
            try:
                with member.carrying(1):
                    pooled = self._read(await self._asked(member, key, prompt), prompt)
            except Lost as lost:
                call.lost(member, lost)
            except InvalidRequest as error:
                raise RewardCallFailed(f"The reward engine refused a path: {error}") from error
            else:
                member.well()
                return pooled

    async def _asked(self, member: Member, key: str, prompt: Sequence[int]) -> FloatArray:
        model = member.offer.model if member.offer else ""
        name = f"{key}-{self._nameless}-{next(self._numbers)}"
        return read_pooling(await self.fleet.wire.post(member, PATH, pooling(model, self._task, prompt), name))

    @abstractmethod
    def _read(self, pooled: FloatArray, prompt: Sequence[int]) -> FloatArray:
        """A reply as the port wants it.

        Raises:
            Lost: It has not the shape that it should have.
        """


class RemoteTags(RemoteScores):
    """Implements ``reward_ports.TokenClassifier``.

    Args:
        fleet: The servers.
        step_tag: Text of the one token at which the probabilities are read.
        tokenizer: The reward model's own.
        max_model_len: Longest prompt in tokens.

    Raises:
        StartupError: The tokenizer lacks the step tag.
    """

    def __init__(self, fleet: Fleet, step_tag: str, tokenizer: HFTokenizer, max_model_len: int) -> None:
        super().__init__(fleet, tokenizer, "token_classify", max_model_len)
        self._tag = tag_of(tokenizer, step_tag)

    async def classify(self, prompts: Sequence[Sequence[int]]) -> list[FloatArray]:
        """Gives for each prompt the probabilities at its step tags, shape ``[tags, labels]``, all asked at once.

        Raises:
            PathTooLong: A prompt is longer than the model reads.
            RewardCallFailed: A call failed on several servers, or was refused.
            RewardDead: No server answers.
        """
        return await self._pooled(prompts)

    def _read(self, pooled: FloatArray, prompt: Sequence[int]) -> FloatArray:
        return at_tags(pooled, prompt, self._tag)


class RemoteLogits(RemoteScores):
    """Implements ``reward_ports.SequenceScorer`` over sequence classifiers with one label."""

    def __init__(self, fleet: Fleet, tokenizer: HFTokenizer, max_model_len: int) -> None:
        super().__init__(fleet, tokenizer, "classify", max_model_len)

    async def logits(self, prompts: Sequence[Sequence[int]]) -> FloatArray:
        """The raw output for each prompt, without any activation, shape ``[prompts]``, all asked at once.

        Raises:
            PathTooLong: A prompt is longer than the model reads.
            RewardCallFailed: A call failed on several servers, or was refused.
            RewardDead: No server answers.
        """
        rows = await self._pooled(prompts)
        return np.concatenate(rows) if rows else np.zeros(0, dtype=np.float32)

    def _read(self, pooled: FloatArray, prompt: Sequence[int]) -> FloatArray:  # noqa: ARG002 - the other kind needs it
        if pooled.shape != (1,):
            raise garbage(f"an output of shape {pooled.shape} instead of one logit")
        return pooled


def tag_of(tokenizer: HFTokenizer, step_tag: str) -> int:
    """The one token that a step tag is.

    Raises:
        StartupError: It is none, or several.
    """
    tag, *more = tokenizer.encode(step_tag) or [-1]
    if tag < 0 or more:
        raise StartupError(f"The reward model's tokenizer has no token {step_tag!r} to read scores at.")
    return tag
