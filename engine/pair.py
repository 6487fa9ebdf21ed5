"""Starts and ends the engines of one server: one that generates and, when a reward model is set, one that scores."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine import environment
from engine.model_folder import read_card
from engine.pooling import TagEngine
from engine.served import ServedModel
from engine.settings import GPU_MEMORY_GENERATION, GPU_MEMORY_REWARD, EngineSettings
from engine.vllm_engine import VllmEngine
from engine.vllm_process import usable_cores
from mcts.together import together

Phase = Literal["loading", "warming up", "ready"]

Progress = Callable[[str, Phase], None]
"""Called with ``generation`` or ``reward`` and the phase that begins."""

RewardEngine = Callable[[EngineSettings], ServedModel]
"""Makes the engine that a reward model is served through, not started."""

QWEN_TAGS: RewardEngine = functools.partial(TagEngine, step_tag="<extra_0>")
"""For Qwen2.5-Math-PRM and the bundled reward model."""


@dataclass(frozen=True, slots=True, eq=False)
class EnginePair:
    """Two engines that share a machine. On one GPU each gets its share of the memory; see ``EngineSettings``.

    Making one checks folders, configurations and tokenizers; only ``start`` loads anything heavy.
    """

    generation: VllmEngine
    reward: ServedModel | None = None

    @property
    def healthy(self) -> bool:
        """Whether every engine's process lives."""
        return self.generation.healthy and (self.reward is None or self.reward.healthy)

    async def start(self, progress: Progress = lambda _engine, _phase: None) -> None:
        """Loads and warms both up. Nothing keeps running when one of them fails or the start is cancelled.

        On a CPU both load at once. On a GPU the second waits for the first: vLLM measures how much memory is free while
        it loads, and would take the other's for its own.

        Raises:
            StartupError: An engine cannot start; one line says why.
        """
        parts = [_bring_up("generation", self.generation, progress)]
        if self.reward is not None:
            parts.append(_bring_up("reward", self.reward, progress))
        try:
            if await asyncio.to_thread(_has_gpu):
                for part in parts:
                    await part
            else:
                await together(parts)
        except BaseException:
            for part in parts:
                part.close()
            await self.close()
            raise

    async def revive(self) -> None:
        """Ends what hangs and starts anew what is not healthy. What lives goes on.

        Raises:
            StartupError: An engine cannot start; one line says why.
        """
        for engine in (self.generation, self.reward):
            if engine is not None and not engine.healthy:
                engine.process.report_death()
                await engine.process.kill()
                await engine.close()
                await engine.start()
                await engine.warm_up()

    async def close(self) -> None:
        """Ends both. Closing twice does nothing."""
        await together(engine.close() for engine in (self.generation, self.reward) if engine is not None)


def make_engines(
    generation: EngineSettings, reward: EngineSettings | None = None, reward_engine: RewardEngine = QWEN_TAGS
) -> EnginePair:
    """The engines for these settings, not started.

    Args:
        generation: The model that writes.
        reward: The reward model; None for none.
        reward_engine: What serves it: a ``TagEngine``, an ``OutcomeEngine``, or a ``VllmEngine`` where the reward model
            is a causal language model and runs as one. Its convention says.

    Raises:
        StartupError: A folder is missing or holds the wrong kind of model.
    """
    models = [generation] if reward is None else [generation, reward]
    environment.prepare(offline=all(read_card(each.model).local for each in models))
    if reward is None:
        return EnginePair(VllmEngine(generation))
    writes = _shared(generation, GPU_MEMORY_GENERATION)
    scores = _shared(reward, GPU_MEMORY_REWARD)
    return EnginePair(VllmEngine(writes), reward_engine(scores))


def _shared(settings: EngineSettings, gpu_memory: float) -> EngineSettings:
    """Settings of an engine that has its machine not for itself; what the operator chose stays."""
    threads = settings.threads or max(1, usable_cores() // 2)
    return dataclasses.replace(settings, threads=threads, gpu_memory=settings.gpu_memory or gpu_memory)


async def _bring_up(name: str, engine: ServedModel, progress: Progress) -> None:
    progress(name, "loading")
    await engine.start()
    progress(name, "warming up")
    await engine.warm_up()
    progress(name, "ready")


def _has_gpu() -> bool:
    """Whether vLLM will run on something other than the CPU; False when it is not installed, which start reports."""
    try:
        with environment.quiet_warnings:
            from vllm.platforms import current_platform

            return not current_platform.is_cpu()
    except ImportError:
        return False
