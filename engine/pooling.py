"""The reward engine: a second vLLM that gives class probabilities at marked tokens."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import numpy as np

from engine.settings import EngineInfo, EngineSettings
from engine.tokenizer import HFTokenizer, load_tokenizer
from engine.vllm_errors import all_of, engine_errors
from engine.vllm_process import VllmProcess
from mcts.errors import RewardCallFailed, StartupError
from mcts.ports import FloatArray


class PoolingEngine:
    """Implements ``reward_ports.TokenClassifier``. Cancelling a call aborts it in the engine.

    Args:
        settings: How to start it.
        step_tag: Text of the one token at which the probabilities are read.
        tokenizer: Loaded already; None loads the model's own.

    Raises:
        StartupError: The model folder is missing, is no reward model, or its tokenizer lacks the step tag.
    """

    def __init__(self, settings: EngineSettings, step_tag: str, tokenizer: HFTokenizer | None = None) -> None:
        self.tokenizer = tokenizer or load_tokenizer(settings.model)
        tag, *more = self.tokenizer.encode(step_tag) or [-1]
        if tag < 0 or more:
            raise StartupError(f"The tokenizer of {settings.model!r} has no token {step_tag!r} to read scores at.")
        self._tag = tag
        self._step_tag = step_tag
        self.process = VllmProcess(settings, "pooling", lambda: {"pooler_config": _step_pooler(tag)})
        self._numbers = itertools.count()

    @property
    def info(self) -> EngineInfo:
        """Facts about the running engine."""
        return self.process.info

    @property
    def healthy(self) -> bool:
        """Whether the engine's process lives."""
        return self.process.healthy

    async def start(self) -> None:
        """Loads the model.

        Raises:
            StartupError: The engine cannot start; one line says why.
        """
        await self.process.start()

    async def warm_up(self) -> None:
        """Scores one short text, so that the first request does not pay for what is made on first use."""
        await self.classify([self.tokenizer.encode(f"1 + 1 = 2{self._step_tag}")])

    async def close(self) -> None:
        """Ends the engine. Closing twice does nothing."""
        await self.process.close()

    async def classify(self, prompts: Sequence[Sequence[int]]) -> list[FloatArray]:
        """Gives for each prompt the probabilities at its step tags, shape ``[tags, labels]``, all asked at once.

        Raises:
            RewardCallFailed: The call failed, or a prompt is longer than the model reads.
            RewardDead: The reward engine is gone.
        """
        limit = self.info.max_model_len
        for prompt in prompts:
            if len(prompt) >= limit:
                raise RewardCallFailed(f"The reward model reads fewer than {limit} tokens; a path has {len(prompt)}.")
        return await all_of(self._classify(prompt) for prompt in prompts)

    async def _classify(self, prompt: Sequence[int]) -> FloatArray:
        async with engine_errors(self.process):
            async with aclosing(self._outputs(prompt)) as outputs:
                replies = [reply async for reply in outputs]
            reply = replies[-1]
            if reply.error is not None:
                raise RewardCallFailed(f"The reward engine refused a path: {reply.error.message}")
            rows: FloatArray = np.asarray(reply.outputs.data.float().numpy(), dtype=np.float32)
            return rows

    def _outputs(self, prompt: Sequence[int]) -> Any:
        from vllm.inputs.engine import tokens_input
        from vllm.pooling_params import PoolingParams

        params = PoolingParams(task="token_classify")
        return self.process.llm.encode(tokens_input(list(prompt)), params, f"score-{next(self._numbers)}")


def _step_pooler(tag: int) -> Any:
    from vllm.config import PoolerConfig

    return PoolerConfig(task="token_classify", tok_pooling_type="STEP", step_tag_id=tag)
