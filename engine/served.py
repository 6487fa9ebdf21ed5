"""A model in an engine of its own, with its tokenizer: what engines that write and those that score have in common."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from engine.model_folder import Runner
from engine.settings import EngineInfo, EngineSettings
from engine.tokenizer import HFTokenizer, load_tokenizer
from engine.vllm_process import VllmProcess


class ServedModel(ABC):
    """Not started, running, or closed for good. What it is asked for is up to those that derive from it.

    Args:
        settings: How to start it.
        runner: Whether it generates or scores.
        defaults: Gives vLLM engine arguments of the kind of engine, once vLLM is imported.
        tokenizer: Loaded already; None loads the model's own.

    Raises:
        StartupError: The model folder is missing, is no model, or is one of the other kind.
    """

    def __init__(
        self,
        settings: EngineSettings,
        runner: Runner,
        defaults: Callable[[], dict[str, Any]],
        tokenizer: HFTokenizer | None = None,
    ) -> None:
        self.process = VllmProcess(settings, runner, defaults)
        self.tokenizer = tokenizer or load_tokenizer(settings.model)
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

    @abstractmethod
    async def warm_up(self) -> None:
        """Does a little of its work, so that the first request does not pay for what is made on first use."""

    async def close(self) -> None:
        """Ends the engine. Closing twice does nothing."""
        await self.process.close()

    def _request_id(self, prefix: str) -> str:
        """A name for a call that no other call to this engine has."""
        return f"{prefix}-{next(self._numbers)}"
