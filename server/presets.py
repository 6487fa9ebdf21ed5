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
    Preset("cot", "Plain decoding, asked to reason step by step.", {"strategy": "cot"}),
    Preset("majority", "Samples answers; the most frequent one wins.", {"strategy": "majority"}),
    Preset(
        "majority-adaptive",
        "Samples answers until the most frequent one is sure enough (Adaptive-Consistency).",
        {"strategy": "majority", "certainty": 0.95, "width": 4},
    ),
    Preset("best-of-n", "Samples answers; the one with the highest reward wins.", {"strategy": "best_of_n"}),
    Preset(
        "best-of-n-confidence",
        "Samples answers; the one the model was surest of wins.",
        {"strategy": "best_of_n", "reward": "confidence"},
    ),
    Preset(
        "best-of-n-prm",
        "Samples answers; the one the process reward model likes best wins.",
        {"strategy": "best_of_n", "reward": "prm"},
    ),
    Preset(
        "best-of-n-orm",
        "Samples answers; the one the outcome reward model likes best wins.",
        {"strategy": "best_of_n", "reward": "orm"},
    ),
    Preset(
        "weighted-best-of-n",
        "Samples answers; the answer with the highest sum of rewards wins.",
        {"strategy": "weighted_best_of_n"},
    ),
    Preset(
        "cot-decoding",
        "Continues the likeliest first tokens; the answer the model is surest of wins.",
        {"strategy": "cot_decoding"},
    ),
    Preset(
        "best-of-n-judge",
        "Samples answers; the one that the model itself grades best wins.",
        {"strategy": "best_of_n", "reward": "judge"},
    ),
    Preset("uct", "Tree search over steps.", {"strategy": "uct"}),
    Preset("uct-mini-32", "Tree search over mini-steps of 32 tokens.", {"strategy": "uct", "step": {"tokens": 32}}),
    Preset("uct-mini-64", "Tree search over mini-steps of 64 tokens.", {"strategy": "uct", "step": {"tokens": 64}}),
    Preset(
        "uct-commit",
        "Tree search that commits its answer step by step, so that its text flows early.",
        {"strategy": "uct", "commit": 8},
    ),
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
    Preset(
        "self-refine",
        "Tree search over whole answers, which the model criticises, rewrites and grades itself.",
        {"strategy": "self_refine", "budget": {"simulations": 8}},
    ),
    Preset(
        "mctsr",
        "The search of the MCTSr paper: one refinement at a time, raw self-rewards, 8 refinements.",
        {"strategy": "mctsr", "budget": {"simulations": 8}},
    ),
    Preset(
        "ab-mcts",
        "Tree search over whole answers that goes wider or deeper as their rewards suggest.",
        {"strategy": "ab_mcts"},
    ),
    Preset("beam", "Beam search over steps: the best paths go on after every step.", {"strategy": "beam"}),
    Preset("dvts", "Diverse verifier tree search: independent subtrees, each greedy.", {"strategy": "dvts"}),
    Preset("rebase", "Reward-balanced search: better paths get more continuations.", {"strategy": "rebase"}),
    Preset("particle", "Particle filtering: paths are resampled by reward after every step.", {"strategy": "particle"}),
    Preset(
        "search-and-learn",
        "The beam search of search-and-learn, with its constants: 4 beams, 1 kept, 40 rounds, temperature 0.8.",
        {"strategy": "search-and-learn", "reward": "prm"},
    ),
    Preset(
        "search-and-learn-dvts",
        "The diverse verifier tree search of search-and-learn, with its constants.",
        {"strategy": "search-and-learn-dvts", "reward": "prm"},
    ),
)
"""All presets; those whose reward is not loaded are not served."""


def served_presets(rewards: Collection[str]) -> dict[str, Preset]:
    """The presets that work with these rewards, by name."""
    return {preset.name: preset for preset in PRESETS if preset.needs() in {None, *rewards}}
