"""Reward engines: a second vLLM that reads a text and gives numbers for it, at marked tokens or at its end.

ServedModel
└── PoolingEngine    one array per prompt
    ├── TagEngine        class probabilities at every step tag
    └── OutcomeEngine    the raw logit of a whole answer
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, Literal

import numpy as np

from engine.model_folder import check_one_label
from engine.served import ServedModel
from engine.settings import EngineSettings
from engine.tokenizer import HFTokenizer
from engine.vllm_errors import engine_errors
from mcts.errors import PathTooLong, RewardCallFailed, StartupError
from mcts.ports import FloatArray
from mcts.together import together

WARM_UP_TEXT = "1 + 1 = 2"


class PoolingEngine(ServedModel):
    """What both kinds share: all prompts go to the engine at once. Cancelling a call aborts it there.

    Args:
        settings: How to start it.
        task: Of vLLM: ``token_classify`` or ``classify``.
        use_activation: Whether vLLM turns logits into probabilities.
        defaults: Gives vLLM engine arguments, once vLLM is imported.
        tokenizer: Loaded already; None loads the model's own.

    Raises:
        StartupError: The model folder is missing, or is no reward model.
    """

    def __init__(
        self,
        settings: EngineSettings,
        task: Literal["token_classify", "classify"],
        defaults: Callable[[], dict[str, Any]],
        tokenizer: HFTokenizer | None = None,
        *,
        use_activation: bool = True,
    ) -> None:
        super().__init__(settings, "pooling", defaults, tokenizer)
        self._task = task
        self._use_activation = use_activation

    async def _pooled(self, prompts: Sequence[Sequence[int]]) -> list[FloatArray]:
        """What vLLM gives for each prompt.

        Raises:
            PathTooLong: A prompt is longer than the model reads.
            RewardCallFailed: The call failed.
            RewardDead: The reward engine is gone.
        """
        limit = self.info.max_model_len
        for prompt in prompts:
            if len(prompt) >= limit:
                raise PathTooLong(f"The reward model reads fewer than {limit} tokens; a path has {len(prompt)}.")
        return await together(self._pool(prompt) for prompt in prompts)

    async def _pool(self, prompt: Sequence[int]) -> FloatArray:
        async with engine_errors(self.process):
            async with aclosing(self._outputs(prompt)) as outputs:
                replies = [reply async for reply in outputs]
            reply = replies[-1]
            if reply.error is not None:
                raise RewardCallFailed(f"The reward engine refused a path: {reply.error.message}")
            pooled: FloatArray = np.asarray(reply.outputs.data.float().numpy(), dtype=np.float32)
            return pooled

    def _outputs(self, prompt: Sequence[int]) -> Any:
        from vllm.inputs.engine import tokens_input
        from vllm.pooling_params import PoolingParams

        params = PoolingParams(task=self._task, use_activation=self._use_activation)
        return self.process.llm.encode(tokens_input(list(prompt)), params, self._request_id("score"))


class TagEngine(PoolingEngine):
    """Implements ``reward_ports.TokenClassifier``.

    Args:
        settings: How to start it.
        step_tag: Text of the one token at which the probabilities are read.
        tokenizer: Loaded already; None loads the model's own.

    Raises:
        StartupError: The model folder is missing, is no reward model, or its tokenizer lacks the step tag.
    """

    def __init__(self, settings: EngineSettings, step_tag: str, tokenizer: HFTokenizer | None = None) -> None:
        super().__init__(settings, "token_classify", lambda: {"pooler_config": _step_pooler(self._tag)}, tokenizer)
        tag, *more = self.tokenizer.encode(step_tag) or [-1]
        if tag < 0 or more:
            raise StartupError(f"The tokenizer of {settings.model!r} has no token {step_tag!r} to read scores at.")
        self._tag = tag

    async def warm_up(self) -> None:
        """Scores one short text, so that the first request does not pay for what is made on first use."""
        await self.classify([[*self.tokenizer.encode(WARM_UP_TEXT), self._tag]])

    async def classify(self, prompts: Sequence[Sequence[int]]) -> list[FloatArray]:
        """Gives for each prompt the probabilities at its step tags, shape ``[tags, labels]``, all asked at once.

        Raises:
            RewardCallFailed: The call failed, or a prompt is longer than the model reads.
            RewardDead: The reward engine is gone.
        """
        return await self._pooled(prompts)


class OutcomeEngine(PoolingEngine):
    """Implements ``reward_ports.SequenceScorer`` over a sequence classifier with one label, read at the last token.

    Args:
        settings: How to start it.
        tokenizer: Loaded already; None loads the model's own.

    Raises:
        StartupError: The model folder is missing, or holds no sequence classifier with one label.
    """

    def __init__(self, settings: EngineSettings, tokenizer: HFTokenizer | None = None) -> None:
        super().__init__(settings, "classify", _outcome_defaults, tokenizer, use_activation=False)
        check_one_label(self.process.card)

    async def start(self) -> None:
        """Loads the model.

        Raises:
            StartupError: The engine cannot start, or the model has not one label; one line says why.
        """
        await super().start()
        try:
            labels = int(self.process.llm.model_config.hf_config.num_labels)
            check_one_label(dataclasses.replace(self.process.card, local=True, labels=labels))
        except StartupError:
            await self.close()
            raise

    async def warm_up(self) -> None:
        """Scores one short text, so that the first request does not pay for what is made on first use."""
        await self.logits([self.tokenizer.encode(WARM_UP_TEXT)])

    async def logits(self, prompts: Sequence[Sequence[int]]) -> FloatArray:
        """The raw output for each prompt, without any activation, shape ``[prompts]``, all asked at once.

        Raises:
            RewardCallFailed: The call failed, or a prompt is longer than the model reads.
            RewardDead: The reward engine is gone.
        """
        rows = await self._pooled(prompts)
        for row in rows:
            if row.shape != (1,):
                raise RewardCallFailed(f"The reward engine gave an output of shape {row.shape} instead of one logit.")
        return np.concatenate(rows) if rows else np.zeros(0, dtype=np.float32)


def _step_pooler(tag: int) -> Any:
    from vllm.config import PoolerConfig

    return PoolerConfig(task="token_classify", tok_pooling_type="STEP", step_tag_id=tag)


def _outcome_defaults() -> dict[str, Any]:
    from vllm.config import PoolerConfig

    return {"pooler_config": PoolerConfig(task="classify", use_activation=False)}
