"""Where the models that ship with Espalier are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

BUNDLED_MODEL = "abacus"
BUNDLED_REWARD_MODEL = "abacus-prm"


def bundled(name: str) -> str:
    """The folder of a model that ships with Espalier, found without importing the training recipe."""
    spec = importlib.util.find_spec("models")
    roots = list(spec.submodule_search_locations or []) if spec else []
    return str(Path(roots[0] if roots else "models") / name)
