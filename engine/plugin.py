"""What this package adds to vLLM, which calls ``register`` in each of its processes (a plugin in pyproject.toml)."""

from __future__ import annotations

ARCHITECTURES = {"Qwen2ForPrmModel": "engine.skywork:Qwen2ForPrmModel"}
"""Names in ``config.json`` that vLLM 0.32 does not know, and the class that serves each."""


def register() -> None:
    """Adds the architectures, by name: nothing is imported until a model needs it. Calling it again changes nothing."""
    from vllm import ModelRegistry

    for architecture, place in ARCHITECTURES.items():
        if architecture not in ModelRegistry.get_supported_archs():
            ModelRegistry.register_model(architecture, place)
