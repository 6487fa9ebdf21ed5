"""What is laid over vLLM's entry point, on a stand-in for vLLM."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from engine import environment
from engine.child import ChildSettings, child_settings, run_engine_core


class Ended(Exception):
    """In place of the end of the process."""


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A class that stands in for vLLM's, and notes what its own entry point is called with."""

    class EngineCoreProc:
        calls: list[tuple[Any, ...]] = []  # noqa: RUF012 - each test has a class of its own

        @staticmethod
        def run_engine_core(*args: Any, **kwargs: Any) -> None:
            EngineCoreProc.calls.append((args, kwargs))

    def end(_: int) -> None:
        raise Ended

    monkeypatch.setitem(sys.modules, "vllm.v1.engine.core", SimpleNamespace(EngineCoreProc=EngineCoreProc))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())  # type: ignore[arg-type]
    monkeypatch.setattr("engine.child.os._exit", end)
    monkeypatch.setattr("engine.child.atexit._run_exitfuncs", lambda: None)
    return EngineCoreProc


def test_a_forked_process_runs_vllms_own_entry_point(core: Any) -> None:
    """There ours is still laid over it, and must not call itself. Laying it over twice changes nothing."""
    for _ in range(2):
        with child_settings(ChildSettings()):
            laid_over = core.run_engine_core
    assert laid_over.func is run_engine_core
    with pytest.raises(Ended):
        laid_over(1, rank=2)
    assert core.calls == [((1,), {"rank": 2})]


def test_a_spawned_process_runs_vllms_own_entry_point(core: Any) -> None:
    """There nothing is laid over it."""
    with pytest.raises(Ended):
        run_engine_core(ChildSettings(), 1)
    assert core.calls == [((1,), {})]


def test_engines_are_spawned_whatever_the_operator_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forked engine would keep its own lifeline open."""
    for name in environment.QUIET:
        monkeypatch.setenv(name, os.environ.get(name, ""))  # so that all of it is put back
    monkeypatch.setenv("VLLM_WORKER_MULTIPROC_METHOD", "fork")
    environment.prepare(offline=False)
    assert os.environ["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn"
