"""Starts, watches and ends one vLLM engine, which runs in a process of its own. Knows neither sampling nor scoring."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import environment
from engine.child import ChildSettings, child_settings
from engine.model_folder import ModelCard, Runner, check_runner, read_card, token_ids
from engine.pulse import Pulse
from engine.settings import EngineInfo, EngineSettings
from engine.startup_errors import explain, last_error, missing_package
from engine.variables import live_variables
from engine.vllm_arguments import engine_arguments
from engine.vllm_statistics import statistics_logger
from mcts.errors import NotReady

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM

_logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
"""How long an engine may take to end by itself; then it is killed."""

KILL_SECONDS = 2.0
"""How long a killed engine's end may take to be noticed."""


class VllmProcess:
    """One ``AsyncLLM``: not started, running, or closed for good.

    Args:
        settings: How to start it.
        runner: Whether it generates or scores.
        defaults: Gives vLLM engine arguments of the kind of engine, once vLLM is imported; the settings' ``extra``
            wins over them.
    """

    def __init__(self, settings: EngineSettings, runner: Runner, defaults: Callable[[], dict[str, Any]]) -> None:
        self.settings = settings
        self.runner: Runner = runner
        self.card: ModelCard = read_card(settings.model)
        check_runner(self.card, runner)
        self._defaults = defaults
        self._llm: AsyncLLM | None = None
        self._info: EngineInfo | None = None
        self._log: Path | None = None
        self._lifeline: Connection | None = None
        self._death_reported = False
        self._pulse = Pulse(settings.hang_seconds)

    @property
    def llm(self) -> AsyncLLM:
        """The engine itself.

        Raises:
            NotReady: It is not started, or closed.
        """
        if self._llm is None:
            raise NotReady("The engine is not running.")
        return self._llm

    @property
    def info(self) -> EngineInfo:
        """Facts about the running engine; kept after it is closed.

        Raises:
            NotReady: It was never started.
        """
        if self._info is None:
            raise NotReady("The engine is not running.")
        return self._info

    @property
    def healthy(self) -> bool:
        """Whether the engine's process lives and, where it has work, says something now and then. Costs nothing."""
        return self._llm is not None and not self._llm.errored and not self.hung

    @property
    def hung(self) -> bool:
        """Whether it has work and has been silent for longer than the settings bear. To be asked regularly."""
        return self._pulse.stopped(self.busy)

    @property
    def busy(self) -> int:
        """How many continuations or scores are under way."""
        return 0 if self._llm is None else self._llm.get_num_unfinished_requests()

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Ids of the engine's processes, for supervision."""
        manager = None if self._llm is None else self._llm.engine_core.resources.engine_manager
        return tuple(process.pid for process in manager.processes if process.pid) if manager is not None else ()

    async def kill(self) -> None:
        """Ends the engine's processes at once, whatever they are at; open calls fail with the engine's death."""
        _kill(self.process_ids)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_SECONDS):
                while self._llm is not None and not self._llm.errored:  # noqa: ASYNC110 - vLLM's own thread notices it
                    await asyncio.sleep(0.01)

    def report_death(self) -> None:
        """Logs, once for each start, that the engine's process died, of what, and where its own log is."""
        if self._death_reported:
            return
        self._death_reported = True
        silent = "it was at work without a sign of life" if self.hung else "no last words: killed, or out of memory"
        cause = last_error(self._log) or silent
        _logger.error("the engine of %s died (%s); its own log: %s", self.settings.model, cause, self._log)

    async def start(self) -> None:
        """Loads the model. Takes 10 s and more, in a thread, so that the event loop stays free.

        Raises:
            StartupError: The engine cannot start; one line says why.
        """
        environment.prepare(offline=False)
        starting = asyncio.ensure_future(asyncio.to_thread(self._start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A thread cannot be cancelled, but the process that it waits for can be ended: then it ends too.
            self._cut_lifeline()
            with contextlib.suppress(Exception):
                await starting
            await self.close()
            raise

    async def close(self) -> None:
        """Ends the engine's process; open calls fail. Closing twice does nothing."""
        process_ids = self.process_ids
        llm, self._llm = self._llm, None
        if llm is not None:
            ending = asyncio.ensure_future(asyncio.to_thread(llm.shutdown))
            _, late = await asyncio.wait({ending}, timeout=CLOSE_SECONDS)
            if late:
                _kill(process_ids)
            await ending
        self._cut_lifeline()
        if self._log is not None and not self._death_reported:  # what an engine died of must stay readable
            self._log.unlink(missing_ok=True)

    def _start(self) -> None:
        self._log = None if self.settings.log_to_terminal else _log_file()
        held, self._lifeline = multiprocessing.Pipe(duplex=False)
        try:
            with environment.quiet_warnings, live_variables:
                llm = self._load(held)
                import vllm
                from vllm.platforms import current_platform
        except Exception as error:
            self._cut_lifeline()
            if isinstance(error, ImportError):
                raise missing_package(error) from error
            raise explain(self.settings.model, error, self._log) from error
        finally:
            held.close()
        if not self.settings.log_to_terminal:
            # It prints a traceback whenever an engine ends, which the calls and ``healthy`` report already.
            logging.getLogger("vllm.v1.engine.async_llm").setLevel(logging.CRITICAL)
        llm.engine_core.get_output_async = self._heard(llm.engine_core.get_output_async)
        self._pulse.beat()
        self._llm = llm
        self._death_reported = False
        self._info = self._facts(llm, vllm.__version__, current_platform.device_type)

    def _load(self, lifeline: Connection) -> AsyncLLM:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.platforms import current_platform

        cpu = current_platform.is_cpu()
        threads = self.settings.threads or max(1, usable_cores() - 1)
        child = ChildSettings(str(self._log or ""), threads if cpu else 0, lifeline)
        arguments = self._defaults() | engine_arguments(self.settings, self.card, self.runner, cpu=cpu)
        counted = self.settings.new_registry
        loggers = [statistics_logger(counted(), self.settings.histogram)] if counted else None
        with child_settings(child):
            return _engine_class().from_engine_args(AsyncEngineArgs(**arguments), stat_loggers=loggers)

    def _heard(self, outputs: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """What the engine tells after each of its steps, with a beat of the pulse for it."""

        async def heard() -> Any:
            told = await outputs()
            self._pulse.beat()
            return told

        return heard

    def _cut_lifeline(self) -> None:
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is not None:
            lifeline.close()

    def _facts(self, llm: AsyncLLM, version: str, device: str) -> EngineInfo:
        config = llm.model_config
        told = (
            getattr(llm.renderer.tokenizer, "eos_token_id", None),
            getattr(config.hf_config, "eos_token_id", None),  # these two are the card's, unless the model is a hub's
            config.try_get_generation_config().get("eos_token_id"),
        )
        return EngineInfo(
            model=self.settings.model,
            architecture=config.architecture,
            max_model_len=config.max_model_len,
            vocab_size=config.get_vocab_size(),
            eos_ids=self.card.eos_ids.union(*map(token_ids, told)),
            vllm_version=version,
            device=device,
            dtype=str(config.dtype).removeprefix("torch."),
            log_path=str(self._log or ""),
        )


def _kill(process_ids: Sequence[int]) -> None:
    for process_id in process_ids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _engine_class() -> type[AsyncLLM]:
    from vllm.v1.engine.async_llm import AsyncLLM

    class ClosedByHand(AsyncLLM):  # type: ignore[misc]  # vllm's types are skipped
        """vLLM's finalizer fails when it first runs as the interpreter ends; ``close`` does its work before that."""

        def __del__(self) -> None:
            pass

    return ClosedByHand


def _log_file() -> Path:
    descriptor, name = tempfile.mkstemp(prefix="espalier-engine-", suffix=".log")
    os.close(descriptor)
    return Path(name)
