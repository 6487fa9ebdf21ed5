"""vLLM's environment variables are read anew while an engine starts, and kept between."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from engine.variables import LiveVariables


class Envs(SimpleNamespace):
    """What is used of ``vllm.envs``."""

    kept = False

    def enable_envs_cache(self) -> None:
        """Keeps what is read."""
        self.kept = True

    def disable_envs_cache(self) -> None:
        """Reads anew."""
        self.kept = False


def test_they_are_kept_once_the_last_engine_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines start in several threads at once; a later start reads anew."""
    envs, live = Envs(), LiveVariables()
    monkeypatch.setitem(sys.modules, "vllm.envs", envs)
    with live:
        with live:
            assert not envs.kept
        assert not envs.kept
    assert envs.kept
    with live:
        assert not envs.kept
    assert envs.kept


def test_vllm_may_come_while_an_engine_starts_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first start imports it; where it is not installed nothing happens."""
    envs, live = Envs(), LiveVariables()
    monkeypatch.delitem(sys.modules, "vllm.envs", raising=False)
    with live:
        pass
    with live:
        monkeypatch.setitem(sys.modules, "vllm.envs", envs)
    assert envs.kept


def test_vllm_has_what_is_used() -> None:
    """A variable that changes is seen while they are live, and not between."""
    envs = pytest.importorskip("vllm.envs")
    live = LiveVariables()
    try:
        with pytest.MonkeyPatch.context() as patch:
            with live:
                patch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
                assert envs.VLLM_CPU_KVCACHE_SPACE == 7
            patch.setenv("VLLM_CPU_KVCACHE_SPACE", "8")
            assert envs.VLLM_CPU_KVCACHE_SPACE == 7
            with live:
                assert envs.VLLM_CPU_KVCACHE_SPACE == 8
    finally:
        envs.disable_envs_cache()
