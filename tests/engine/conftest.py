"""Fixtures of the engine's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.tokenizer import HFTokenizer, load_tokenizer

MODEL = str(Path(__file__).parents[2] / "models" / "abacus")


@pytest.fixture(scope="session")
def tokenizer() -> HFTokenizer:
    """The bundled model's."""
    return load_tokenizer(MODEL)
