"""What runs first in an engine's own process: its output goes to a file, and it does not outlive its parent.

vLLM starts that process itself. ``log_to`` is laid over vLLM's entry point so that this module comes before it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import inspect
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """What the engine's process does before vLLM runs.

    Args:
        log_path: File that takes its standard output and error; empty leaves them alone.
        threads: CPU threads for torch; 0 leaves them alone.
        lifeline: A pipe whose other end the parent holds. When that closes, by hand or because the parent is gone, the
            process ends at once.
    """

    log_path: str = ""
    threads: int = 0
    lifeline: Connection | None = None


_NOTHING = ChildSettings()
_settings: ContextVar[ChildSettings] = ContextVar("child_settings", default=_NOTHING)


@contextmanager
def child_settings(settings: ChildSettings) -> Iterator[None]:
    """Engines started in this context get these settings. Engines may be started in several threads at once."""
    _lay_over_entry_point()
    token = _settings.set(settings)
    try:
        yield
    finally:
        _settings.reset(token)


class _EntryPoint:
    """Stands where vLLM keeps the function that its process runs, and gives ours, bound to the context's settings.

    Args:
        original: vLLM's own function.
    """

    def __init__(self, original: Callable[..., None]) -> None:
        self.original = original

    def __get__(self, instance: object, owner: type) -> Callable[..., None]:
        return functools.partial(run_engine_core, _settings.get())


def _lay_over_entry_point() -> None:
    from vllm.v1.engine.core import EngineCoreProc

    EngineCoreProc.run_engine_core = _EntryPoint(_original(EngineCoreProc))


def _original(core: Any) -> Callable[..., None]:
    """VLLM's own entry point, whether or not ours is laid over it."""
    found = inspect.getattr_static(core, "run_engine_core")  # static: ours would give itself, bound
    original: Callable[..., None] = found.original if isinstance(found, _EntryPoint) else found.__get__(None, core)
    return original


def run_engine_core(settings: ChildSettings, *args: Any, **kwargs: Any) -> None:
    """Runs in the engine's process. A spawned one has vLLM's entry point as it was, a forked one has ours over it."""
    if settings.lifeline is not None:
        threading.Thread(target=_hang_on, args=(settings.lifeline,), name="lifeline", daemon=True).start()
    if settings.log_path:
        log = os.open(settings.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
    import torch
    from vllm.v1.engine.core import EngineCoreProc

    if settings.threads:
        torch.set_num_threads(settings.threads)
    with contextlib.suppress(SystemExit):  # how vLLM leaves its loop when it is told to end
        _original(EngineCoreProc)(*args, **kwargs)
    atexit._run_exitfuncs()  # noqa: SLF001 - unlinks the semaphores; there is no public way to do only that
    os._exit(0)  # taking torch down piece by piece would cost seconds more


def _hang_on(lifeline: Connection) -> None:
    """Ends this process when the lifeline is cut: a killed server must not leave engines behind."""
    try:
        lifeline.recv()
    finally:
        os._exit(1)
