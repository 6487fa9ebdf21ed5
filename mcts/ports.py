"""The ports through which a search reaches the world, and the values that cross them.

A search sees text only through ``Engine``, worth only through ``RewardModel`` and answers only through
``AnswerReader``. ``engine`` and ``reward`` implement these; nothing here knows how. All log-probabilities are natural
logarithms of the model's own distribution, before temperature, penalties and truncation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mcts.sampling import JsonForm as JsonForm  # noqa: PLC0414 - part of the engine's port
from mcts.sampling import Sampling as Sampling  # noqa: PLC0414 - part of the engine's port
from mcts.spent import Spent

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]

NO_TOKEN = -1
"""Pads ``top_ids`` where fewer alternatives are known than were asked for; its log-probability is -inf."""


class Finish(StrEnum):
    """Why a piece of text ended."""

    EOS = "eos"  # the model's end-of-sequence token, which is the last of the token ids
    STOP = "stop"  # a stop string or stop token of the client
    DELIMITER = "delimiter"  # the delimiter of a step
    LENGTH = "length"  # the token limit of the call


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. ``fields`` are further ones that chat templates know, such as ``tool_calls``."""

    role: str
    content: str
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the client asked, as the model sees it and as people read it.

    ``token_ids`` is the rendered chat (or raw text). ``messages`` is the chat itself, empty for raw text; reward models
    render it again with their own template. ``prefill`` is the start of the assistant's turn when the client gave one:
    it stands at the end of ``token_ids`` and belongs to the answer's text, not to the question. ``text`` is the raw
    text of a completion without a chat.
    """

    token_ids: tuple[int, ...]
    messages: tuple[Message, ...] = ()
    text: str = ""
    prefill: str = ""


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One call to the engine.

    Args:
        prefix: Token ids of prompt and path. Never decoded and encoded again.
        n: How many continuations, at least 1.
        max_tokens: Most tokens of each continuation, at least 1.
        delimiters: Strings that end a step. Unlike ``sampling.stop`` they stay in the text and in the token ids.
        sampling: How tokens are drawn.
        seed: Seed of this call. Continuation ``i`` uses ``seed + i``, so equal requests give equal replies on a
            deterministic engine. None draws fresh randomness.
        top_logprobs: How many of the likeliest alternatives to report per token, 0 to 20. 0 means that none are
            reported; the chosen token's own log-probability always is.
        search_id: Groups the calls of one search, for affinity and for tracing. Has no effect on the text.
        spent: Where ``Engine.sample`` tells what it had generated when it is cancelled.
    """

    prefix: tuple[int, ...]
    n: int = 1
    max_tokens: int = 512
    delimiters: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    seed: int | None = None
    top_logprobs: int = 0
    search_id: str = ""
    spent: Spent = field(default_factory=Spent, compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Continuation:
    """What the engine wrote after a prefix. ``T`` tokens, ``K`` = ``top_logprobs`` of the request.

    Args:
        token_ids: Exactly the ``T`` tokens the model produced, the end-of-sequence token included.
        text: Their text without special tokens; a client's stop string and what follows it are cut.
        offsets: Shape ``[T]``: length of ``text`` (characters) once token ``t`` has been read. Never falls; where a
            character takes several tokens, the last of them gains it. Clipped to ``len(text)``.
        logprobs: Shape ``[T]``: log-probability of each token.
        top_ids: Shape ``[T, K]``: likeliest tokens, best first, padded with ``NO_TOKEN``.
        top_logprobs: Shape ``[T, K]``: their log-probabilities, padded with -inf. The chosen token is there only when
            it is among the ``K`` likeliest.
        finish: Why it ended; None only in a piece of a stream that goes on.
        stop: Which stop string or stop token id ended it, when ``finish`` is STOP.
        cached_tokens: How many tokens of the prefix came from the engine's cache.
        trims: How many characters before this text belong to the stop text that ended it, and so to no answer. Engines
            always give 0: they do not see the text before.
    """

    token_ids: tuple[int, ...]
    text: str
    offsets: IntArray
    logprobs: FloatArray
    top_ids: IntArray
    top_logprobs: FloatArray
    finish: Finish | None
    stop: str | int | None = None
    cached_tokens: int = 0
    trims: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """The piece of text that one edge of the tree adds: a slice of a continuation, or a forced phrase.

    Shapes as in ``Continuation``. A forced phrase (a reflection prompt) has ``forced`` set and empty log-probability
    arrays: the model did not choose it, so it takes no part in confidence.
    """

    token_ids: tuple[int, ...]
    text: str
    logprobs: FloatArray
    top_ids: IntArray
    top_logprobs: FloatArray
    finish: Finish | None
    stop: str | int | None = None
    forced: bool = False
    trims: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """The steps from the root on, ready to be scored.

    Args:
        prompt: What the steps answer.
        steps: The steps in order, their texts as the client sees them: none has anything to trim.
        scored_from: Index of the first step that this evaluation is about: the rollout's first. Confidence averages
            over ``steps[scored_from:]``; process reward models read the whole path.
        finished: Whether the text is a finished answer rather than a beginning.
    """

    prompt: Prompt
    steps: tuple[Step, ...]
    scored_from: int = 0
    finished: bool = True

    @property
    def text(self) -> str:
        """The answer so far: the prefill and every step's text."""
        return self.prompt.prefill + "".join(step.text for step in self.steps)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Token ids of all steps, without the prompt."""
        return tuple(token for step in self.steps for token in step.token_ids)


@dataclass(frozen=True, slots=True)
class PathScore:
    """What a path is worth.

    Args:
        value: The aggregate, in [0, 1]; higher is better.
        steps: One reward in [0, 1] per step as the reward model splits the text, which need not be the tree's edges.
            Empty for rewards that see only the whole.
        critique: Why, in words; empty for rewards that only count.
    """

    value: float
    steps: tuple[float, ...] = ()
    critique: str = ""


class Engine(Protocol):
    """Where text comes from."""

    async def sample(self, request: SampleRequest) -> Sequence[Continuation]:
        """Draws ``request.n`` continuations, in the order of their seeds. Cancelled, it aborts and tells ``spent``.

        Raises:
            EngineCallFailed: This call failed.
            EngineDead: The engine is gone.
        """
        ...

    def stream(self, request: SampleRequest) -> AsyncIterator[Continuation]:
        """Draws one continuation (``request.n`` must be 1) piece by piece.

        Each piece holds only new tokens and new text, its offsets counted within the piece; only the last has
        ``finish`` set. The pieces joined are what ``sample`` would have given. Closing the iterator aborts.

        Raises:
            EngineCallFailed: This call failed.
            EngineDead: The engine is gone.
        """
        ...


class RewardModel(Protocol):
    """What a path is worth."""

    @property
    def top_logprobs(self) -> int:
        """How many alternatives per token (0 to 20) the paths it scores must carry."""
        ...

    async def score(self, paths: Sequence[Path]) -> Sequence[PathScore]:
        """Scores each path, in order.

        Raises:
            PathTooLong: A path is longer than the reward model reads.
            RewardCallFailed: This call failed.
            RewardDead: The reward engine is gone.
            StepMismatch: The model's scores do not match the steps.
        """
        ...


class Tokenizer(Protocol):
    """Text to token ids and back, as one particular model does it."""

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of a text. Special tokens written in the text are recognised.

        With ``special``, those that the tokenizer itself puts before and after a whole text are added.
        """
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, special tokens included."""
        ...

    @property
    def knows_tools(self) -> bool:
        """Whether the model's template has a place for tools, for calls of them and for what they gave."""
        ...

    def render(
        self,
        messages: Sequence[Message],
        *,
        continue_final: bool = False,
        closed: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> list[int]:
        """Token ids of a chat under the model's template.

        Ends with the start of the assistant's turn; with ``continue_final`` the last message (which must be the
        assistant's) is left open instead, to be continued; with ``closed`` the chat ends with its last message.
        ``tools`` are functions in OpenAI's shape, for templates that know tools.
        """
        ...


class AnswerReader(Protocol):
    """What a finished text answers, and which answers are the same."""

    def extract(self, text: str) -> str | None:
        """The final answer in a text, or None when it has none."""
        ...

    async def group(self, answers: Sequence[str]) -> Sequence[int]:
        """For each answer the index of the first one equivalent to it.

        ``group(["1/2", "7", "0.5"])`` is ``[0, 1, 0]``.
        """
        ...
