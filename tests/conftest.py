"""Fixtures that several folders share: real engines, started once per run, because each start takes tens of seconds."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings

from engine.pair import EnginePair, make_engines
from engine.settings import EngineSettings
from tests.engine.tiny import make_model, make_prm

settings.register_profile("fuzz", max_examples=int(os.environ.get("FUZZ", "30000")), deadline=None)  # `make fuzz`


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--long``."""
    parser.addoption("--long", action="store_true", help="also run what takes many minutes: images are built")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the long tests unless they are asked for."""
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes many minutes: make test-long"))


MODELS = Path(__file__).parent.parent / "models"


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a tiny random language model and of a tiny random process reward model."""
    root = tmp_path_factory.mktemp("tiny")
    return make_model(root / "lm"), make_prm(root / "prm")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tiny_engines(tiny_models: tuple[Path, Path]) -> AsyncIterator[EnginePair]:
    """Both engines on the tiny models. Their tests run in the session's event loop."""
    generation, reward = (EngineSettings(str(folder), kv_cache_gib=0.25) for folder in tiny_models)
    pair = make_engines(generation, reward)
    await pair.start()
    yield pair
    await pair.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def abacus_engines() -> AsyncIterator[EnginePair]:
    """Both engines on the bundled models; skips where these are not there."""
    if not (MODELS / "abacus" / "config.json").exists():
        pytest.skip("models/abacus is not built")
    pair = make_engines(EngineSettings(str(MODELS / "abacus")), EngineSettings(str(MODELS / "abacus-prm")))
    await pair.start()
    yield pair
    await pair.close()
