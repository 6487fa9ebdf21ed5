"""Loads vLLM engines in this process: one that writes and, where a reward model is set, one that scores."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

from engine.model_folder import check_runner, read_card
from engine.pooling import PoolingEngine
from engine.settings import GPU_MEMORY_GENERATION, GPU_MEMORY_REWARD, EngineSettings
from engine.vllm_engine import VllmEngine
from mcts.errors import StartupError
from mcts.ports import RewardModel
from reward.answers import StandardAnswers
from reward.conventions import convention_for
from reward.registry import ProcessModel, build_rewards
from server.backend import Backend, Report
from server.settings import BUNDLED_MODEL, Settings, bundled

_log = logging.getLogger(__name__)


def check_models(settings: Settings) -> None:
    """Looks at the models' folders before anything heavy is imported.

    Raises:
        StartupError: A folder is missing or holds the wrong kind of model.
    """
    try:
        check_runner(read_card(settings.model), "generate")
        if path := settings.reward_model_path:
            card = read_card(path)
            check_runner(card, "pooling")
            if card.local:
                convention_for(card.architecture)
    except StartupError as error:
        hint = " Make the bundled models with: make train" if settings.model == bundled(BUNDLED_MODEL) else ""
        raise StartupError(f"{error}{hint}") from None


async def load_vllm(settings: Settings, report: Report) -> Backend:
    """Starts the engines and warms them up.

    Raises:
        StartupError: One of them does not start.
    """
    engines = _Engines(*await asyncio.to_thread(_engines, settings, report))
    try:
        rewards = await engines.start(settings, report)
    except BaseException:
        await engines.close()
        raise
    info = engines.writer.info
    return Backend(
        engine=engines.writer,
        tokenizer=engines.writer.tokenizer,
        answers=StandardAnswers(),
        rewards=rewards,
        max_model_len=info.max_model_len,
        vocab_size=info.vocab_size,
        close=engines.close,
        healthy=engines.healthy,
    )


def writer_settings(settings: Settings) -> EngineSettings:
    """What the settings say about the engine that writes."""
    beside = GPU_MEMORY_GENERATION if settings.reward_model_path else None
    return EngineSettings(
        model=settings.model,
        dtype=settings.dtype,
        max_model_len=settings.max_model_len,
        gpu_memory=settings.gpu_memory_utilization or beside,
        kv_cache_gib=settings.kv_cache_gib,
        tensor_parallel_size=settings.tensor_parallel_size,
        pipeline_parallel_size=settings.pipeline_parallel_size,
        data_parallel_size=settings.data_parallel_size,
        quantization=settings.quantization,
        enforce_eager=settings.enforce_eager,
        max_num_seqs=settings.max_num_seqs,
        threads=settings.threads,
        extra=settings.engine_arg,
    )


def scorer_settings(settings: Settings, path: str) -> EngineSettings:
    """What the settings say about the engine that scores."""
    return EngineSettings(
        model=path,
        gpu_memory=settings.reward_gpu_memory_utilization or GPU_MEMORY_REWARD,
        kv_cache_gib=settings.reward_kv_cache_gib,
        tensor_parallel_size=settings.tensor_parallel_size,
        enforce_eager=settings.enforce_eager,
        threads=settings.threads,
        extra=settings.reward_engine_arg,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Engines:
    writer: VllmEngine
    scorer: PoolingEngine | None

    async def start(self, settings: Settings, report: Report) -> dict[str, RewardModel]:
        """Starts one after the other: on one GPU each measures what memory the other left."""
        report(f"loading the model {Path(settings.model).name}")
        await self.writer.start()
        process = None
        if self.scorer:
            report(f"loading the reward model {Path(settings.reward_model_path or '').name}")
            await self.scorer.start()
            _warn_of_short_reading(self.writer, self.scorer)
            process = ProcessModel(self.scorer, self.scorer.tokenizer, self.scorer.info.architecture)
        report("warming up")
        await self.writer.warm_up()
        if self.scorer:
            await self.scorer.warm_up()
        return build_rewards(process)

    def healthy(self) -> bool:
        """Whether all of them live."""
        return self.writer.healthy and (self.scorer is None or self.scorer.healthy)

    async def close(self) -> None:
        """Ends all of them, whatever one of them does."""
        for engine in (self.writer, self.scorer):
            if engine:
                with contextlib.suppress(Exception):
                    await engine.close()


def _warn_of_short_reading(writer: VllmEngine, scorer: PoolingEngine) -> None:
    """A path that the reward model cannot read fails its search, so the operator should know early."""
    writes, reads = writer.info.max_model_len, scorer.info.max_model_len
    if reads < writes:
        _log.warning("the reward model reads %d tokens, fewer than the %d that the model writes", reads, writes)


def _engines(settings: Settings, report: Report) -> tuple[VllmEngine, PoolingEngine | None]:
    report("reading the tokenizers")
    writer = VllmEngine(writer_settings(settings))
    path = settings.reward_model_path
    if path is None:
        return writer, None
    architecture = read_card(path).architecture or "Qwen2ForProcessRewardModel"  # of a hub name it is known later
    return writer, PoolingEngine(scorer_settings(settings, path), convention_for(architecture).step_tag)
