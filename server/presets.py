"""Named ways to search, picked as a model name: ``abacus:best-of-n``. A preset is a ``search`` object with a name.

Knows neither engines nor requests. What a preset leaves open, the settings fill.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

SEPARATOR = ":"


@dataclass(frozen=True, slots=True)
class Preset:
    """One preset. ``search`` has the fields of a request's ``search`` object, ``strategy`` always among them."""

    name: str
    description: str
    search: Mapping[str, Any] = field(default_factory=dict)

    def needs(self) -> str | None:
        """The reward it names itself; None when the server's default will do."""
        return self.search.get("reward")


PRESETS = (
    Preset("direct", "Plain decoding, no search.", {"strategy": "direct"}),
    Preset("majority", "Samples answers; the most frequent one wins.", {"strategy": "majority"}),
    Preset("best-of-n", "Samples answers; the one with the highest reward wins.", {"strategy": "best_of_n"}),
    Preset(
        "weighted-best-of-n",
        "Samples answers; the answer with the highest sum of rewards wins.",
        {"strategy": "weighted_best_of_n"},
    ),
    Preset(
        "best-of-n-judge",
        "Samples answers; the one that the model itself grades best wins.",
        {"strategy": "best_of_n", "reward": "judge"},
    ),
    Preset("uct", "Tree search over steps.", {"strategy": "uct"}),
    Preset("uct-mini-32", "Tree search over mini-steps of 32 tokens.", {"strategy": "uct", "step": {"tokens": 32}}),
    Preset("uct-mini-64", "Tree search over mini-steps of 64 tokens.", {"strategy": "uct", "step": {"tokens": 64}}),
    Preset("uct-reflection", "Tree search that reconsiders its answers.", {"strategy": "uct", "reflection": True}),
    Preset(
        "uct-confidence",
        "Tree search scored by the model's own token confidence.",
        {"strategy": "uct", "reward": "confidence"},
    ),
    Preset("uct-prm", "Tree search scored by the process reward model.", {"strategy": "uct", "reward": "prm"}),
    Preset(
        "marco-o1",
        "The search of the Marco-o1 paper: confidence, separate rollouts, no rescaling, its reflection phrase.",
        {"strategy": "marco-o1", "reward": "confidence", "reflection": True},
    ),
)
"""All presets; those whose reward is not loaded are not served."""


def served_presets(rewards: Collection[str]) -> dict[str, Preset]:
    """The presets that work with these rewards, by name."""
    return {preset.name: preset for preset in PRESETS if preset.needs() in {None, *rewards}}
