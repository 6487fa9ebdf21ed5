"""Golden trees: whole searches on toys, kept as JSON beside their configuration.

``python -m tests.mcts.golden_trees`` writes the expected part of every file in ``golden/`` anew. Do that only for a
change that is meant to change trees, and read the difference.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mcts.budget import Budget
from mcts.steps import StepRule
from mcts.strategies import STRATEGIES, Reflection
from tests.mcts.replay import replayed
from tests.mcts.toys import forest, garden, search

FOLDER = Path(__file__).parent / "golden"


def grown(configuration: dict[str, Any]) -> dict[str, Any]:
    """Runs a configuration: ``toy``, ``strategy``, ``options``, ``budget``, ``seed``, ``max_tokens``."""
    where = {"garden": garden, "forest": forest}[configuration["toy"]]()
    spec = STRATEGIES[configuration["strategy"]]
    fields = dict(configuration["options"])
    if "step" in fields:
        fields["step"] = StepRule(**fields["step"])
    if "reflection" in fields:
        fields["reflection"] = Reflection(
            fields["reflection"], tuple(where.engine.tokenizer.encode(fields["reflection"]))
        )
    options = type(spec.defaults)(**{name: getattr(spec.defaults, name) for name in spec.defaults.__slots__} | fields)
    budget = Budget(**configuration["budget"])
    rest = {"seed": configuration["seed"], "max_tokens": configuration["max_tokens"]}
    result = search(spec.run, where, options, budget=budget, **rest)
    return {
        "stop_reason": str(result.stop_reason),
        "winner": {"text": result.winners[0].path.text, "node": result.winners[0].node},
        "tallies": [[tally.answer, round(tally.weight, 9), tally.count] for tally in result.tallies],
        "simulations": result.simulations,
        "engine_calls": result.engine_calls,
        "generated_tokens": result.generated_tokens,
        "tree": replayed(where.events),
    }


def golden_files() -> list[Path]:
    """All golden files, by name."""
    return sorted(FOLDER.glob("*.json"))


def write_anew() -> None:
    """Writes what every configuration gives now into its file."""
    for file in golden_files():
        configuration = json.loads(file.read_text())["configuration"]
        content = {"configuration": configuration, "expected": grown(configuration)}
        file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write_anew()
