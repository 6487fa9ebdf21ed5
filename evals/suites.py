"""Which configurations are measured together: tree search against sampling, ways to cut steps, a quarter of the tokens.

The largest suite, every strategy, stands in ``evals.family``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evals.family import family_suite
from evals.runs import Plan, Run, Spent, fixed, run

GREEDY = "greedy"
SAMPLE = "majority 4"
WEIGHTED_64 = "weighted best of 64"


def main_suite(model: str, simulations: int) -> list[Plan]:
    """Tree search against greedy decoding and against sampling at equal generated tokens."""
    prm = f"uct prm {simulations}"
    confidence = f"uct confidence {simulations}"
    tree: Any = {"budget": {"simulations": simulations}}
    return [
        fixed(run(GREEDY, model, "direct", temperature=0)),
        fixed(run(SAMPLE, model, "majority", search={"samples": 4, "adaptive": False})),
        fixed(run(prm, model, "uct", reward="prm", votes=("weighted", "max_value"), search=tree)),
        _best_of_as_many_tokens(model, prm),
        fixed(run(confidence, model, "uct", reward="confidence", votes=("weighted", "max_value"), search=tree)),
    ]


def _best_of_as_many_tokens(model: str, other: str) -> Plan:
    """Best-of-N with as many samples as give another run's tokens; the votes over them are the other samplers.

    The cost of one sample is taken from the run named ``SAMPLE``; where that got no reply, one sample is drawn.
    """

    def plan(spent: Spent) -> Run:
        samples = max(1, round(spent[other] / (spent[SAMPLE] / 4))) if spent[SAMPLE] else 1
        return run(
            f"best of {samples} prm",
            model,
            "best_of_n",
            reward="prm",
            votes=("max_value", "weighted", "majority"),
            budget=samples,
            search={"samples": samples},
        )

    return plan


def modes_suite(model: str, simulations: int) -> list[Plan]:
    """The ways to cut a path into steps, with and without reflection, with and without rollouts."""
    budget = {"simulations": simulations}
    cuts = {"step": {"delimiter": "\n\n"}, "mini-step 64": {"tokens": 64}, "mini-step 32": {"tokens": 32}}
    plans = [
        fixed(
            run(
                f"{cut}{', reflection' if reflection else ''}",
                model,
                "uct",
                reward="prm",
                search={"budget": budget, "step": step, "reflection": reflection},
            )
        )
        for cut, step in cuts.items()
        for reflection in (False, True)
    ]
    return [
        fixed(run(GREEDY, model, "direct", temperature=0)),
        *plans,
        fixed(run("step, no rollout", model, "uct", reward="prm", search={"budget": budget, "rollout": "none"})),
        fixed(
            run(
                "marco-o1 preset",
                model,
                "marco-o1",
                reward="confidence",
                preset="marco-o1",
                search={"budget": budget},
            )
        ),
    ]


def quarter_suite(model: str, _: int) -> list[Plan]:
    """Whether ``uct`` or ``beam`` gets by with a quarter of the tokens of a weighted vote over 64 samples."""
    return [
        fixed(run(WEIGHTED_64, model, "weighted_best_of_n", reward="prm", budget=64, search={"samples": 64})),
        *(
            fixed(run(f"beam {size}", model, "beam", reward="prm", budget=size, search={"beams": size}))
            for size in (8, 12, 16)
        ),
        *(
            fixed(
                run(
                    f"uct {simulations}",
                    model,
                    "uct",
                    reward="prm",
                    budget=2 * simulations,
                    search={"budget": {"simulations": simulations}},
                )
            )
            for simulations in (4, 6, 8)
        ),
    ]


SUITES: Mapping[str, Callable[[str, int], list[Plan]]] = {
    "main": main_suite,
    "modes": modes_suite,
    "quarter": quarter_suite,
    "family": family_suite,
}

SHARES = {"main": 1.0, "modes": 0.15, "quarter": 0.5, "family": 0.15}
"""Part of the problems that each suite asks. The main one compares methods closely; the others have many more runs."""
