"""Which configurations are measured together. A later run may be sized by what an earlier one spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evals.client import Run

Spent = Mapping[str, float]
"""Mean generated tokens per question of each run done so far, by the run's name."""

Plan = Callable[[Spent], Run]
"""Makes a run once the runs before it are known."""

GREEDY = "greedy"
SAMPLE = "majority 4"


def fixed(name: str, model: str, search: Mapping[str, Any] | None = None, **fields: Any) -> Plan:
    """A run that hangs on no other."""
    body = {"model": model, **fields, **({"search": dict(search)} if search is not None else {})}
    return lambda _: Run(name, body)


def at_tokens_of(other: str, name: str, model: str, strategy: str, **search: Any) -> Plan:
    """A sampling run with as many samples as give the mean generated tokens of another run.

    The cost of one sample is taken from the run named ``SAMPLE``.
    """

    def plan(spent: Spent) -> Run:
        samples = max(1, round(spent[other] / (spent[SAMPLE] / 4)))
        return Run(
            f"{name} {samples}", {"model": model, "search": {"strategy": strategy, "samples": samples, **search}}
        )

    return plan


def main_suite(model: str, simulations: int) -> list[Plan]:
    """Tree search against greedy decoding and against sampling at equal generated tokens."""
    budget = {"simulations": simulations}
    prm = f"uct prm {simulations}"
    confidence = f"uct confidence {simulations}"
    return [
        fixed(GREEDY, model, {"strategy": "direct"}, temperature=0),
        fixed(SAMPLE, model, {"strategy": "majority", "samples": 4, "adaptive": False}),
        fixed(prm, model, {"strategy": "uct", "reward": "prm", "budget": budget}),
        at_tokens_of(prm, "best of n prm", model, "best_of_n", reward="prm"),
        at_tokens_of(prm, "weighted best of n prm", model, "weighted_best_of_n", reward="prm"),
        at_tokens_of(prm, "majority", model, "majority", adaptive=False),
        fixed(confidence, model, {"strategy": "uct", "reward": "confidence", "budget": budget}),
        at_tokens_of(confidence, "best of n confidence", model, "best_of_n", reward="confidence"),
    ]


def modes_suite(model: str, simulations: int) -> list[Plan]:
    """The ways to cut a path into steps, with and without reflection, with and without rollouts."""
    budget = {"simulations": simulations}
    cuts = {"step": {"delimiter": "\n\n"}, "mini-step 64": {"tokens": 64}, "mini-step 32": {"tokens": 32}}
    plans = [
        fixed(
            f"{cut}{', reflection' if reflection else ''}",
            model,
            {"strategy": "uct", "reward": "prm", "budget": budget, "step": step, "reflection": reflection},
        )
        for cut, step in cuts.items()
        for reflection in (False, True)
    ]
    return [
        fixed(GREEDY, model, {"strategy": "direct"}, temperature=0),
        *plans,
        fixed("step, no rollout", model, {"strategy": "uct", "reward": "prm", "budget": budget, "rollout": "none"}),
        fixed("marco-o1 preset", f"{model}:marco-o1", {"budget": budget}),
    ]


SUITES: Mapping[str, Callable[[str, int], list[Plan]]] = {"main": main_suite, "modes": modes_suite}

SHARES = {"main": 1.0, "modes": 0.2}
"""Part of the problems that each suite asks: the main one compares methods, the other only shows that its ways work."""
