"""The model list: the served model, which runs the default preset, and one name per preset."""

from __future__ import annotations

from server.presets import SEPARATOR, Preset
from server.runtime import Runtime
from server.schemas.reply import ModelCard, ModelList


def model_list(runtime: Runtime) -> ModelList:
    """Every name that requests can use, the plain one first.

    Raises:
        NotReady: The presets are not known before the rewards are loaded.
    """
    runtime.backend  # noqa: B018 - raises while starting
    name = runtime.settings.model_name
    names = [name, *(f"{name}{SEPARATOR}{suffix}" for suffix in runtime.presets)]
    presets = [runtime.presets[runtime.settings.default_preset], *runtime.presets.values()]
    return ModelList(data=[model_card(*pair, runtime) for pair in zip(names, presets, strict=True)])


def model_card(model: str, preset: Preset, runtime: Runtime) -> ModelCard:
    """What is known about one name."""
    name = runtime.settings.model_name
    return ModelCard(
        id=model,
        created=runtime.created,
        root=runtime.settings.model,
        parent=None if model == name else name,
        name=model if model == name else f"{name} ({preset.name})",
        description=preset.description,
        max_model_len=runtime.backend.max_model_len,
        search=dict(preset.search),
    )
