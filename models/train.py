"""`python -m models.train`: make the bundled pair from nothing, with a fixed seed, progress and a report."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import PreTrainedTokenizerFast

from models.card import describe_run, write_cards
from models.export import save_language_model, save_reward_model
from models.recipe import PRESETS, Recipe
from models.stages import Bar, Course, StartBar, examine_all, make_tokenizer
from models.tokenizer import LONGEST_CONTEXT, STEP_TAG

LANGUAGE_FOLDER, REWARD_FOLDER = "abacus", "abacus-prm"


class Stopwatch:
    """Minutes of each named stage."""

    def __init__(self) -> None:
        self.minutes: dict[str, float] = {}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Add what runs inside to `stage`."""
        start = time.monotonic()
        yield
        self.minutes[stage] = self.minutes.get(stage, 0.0) + (time.monotonic() - start) / 60


def train(
    recipe: Recipe,
    seed: int,
    out: Path,
    work: Path,
    device: torch.device,
    start: StartBar,
    command: str,
    note: str = "",
) -> dict[str, Any]:
    """Run every stage and write `out/abacus` and `out/abacus-prm`; returns the report.

    Args:
        recipe: Sizes and lengths.
        seed: Fixes data, initial weights and sampling.
        out: Where the two folders go.
        work: Where checkpoints are kept; a stage that finds its own goes on from it.
        device: Where to compute.
        start: Opens a progress bar.
        command: What the report says was run.
        note: A sentence for the model cards about how this run was made, or nothing.
    """
    watch = Stopwatch()
    with watch.time("tokenizer"):
        tokenizer = make_tokenizer(recipe, seed, work)
    course = Course(recipe, tokenizer, seed, device, start, work)
    with watch.time("trunk"):
        trunk, trunk_losses = course.trunk()
    with watch.time("language model"):
        language_model, language_losses = course.language_model(trunk)
        save_language_model(language_model, tokenizer, out / LANGUAGE_FOLDER, recipe.serving_temperature)
    with watch.time("reward model"):
        reward_model, reward_losses = course.reward_model(trunk, language_model)
        save_reward_model(reward_model, tokenizer, out / REWARD_FOLDER)
    with watch.time("exam"):
        figures = examine_all(recipe, tokenizer, language_model, reward_model, seed, start)
    curves = {"trunk": trunk_losses, "language": language_losses, "reward": reward_losses}
    losses = {stage: _curve(each) for stage, each in curves.items()}
    run = describe_run(command, seed, _name(device), watch.minutes) | {"note": note}
    report = make_report(recipe, tokenizer, language_model, reward_model, figures, losses, run)
    write_cards(report, out / LANGUAGE_FOLDER, out / REWARD_FOLDER)
    return report


def make_report(
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerFast,
    language_model: torch.nn.Module,
    reward_model: torch.nn.Module,
    figures: dict[str, Any],
    losses: dict[str, list[float]],
    run: dict[str, Any],
) -> dict[str, Any]:
    """Gather everything that the model cards tell."""
    return {
        "figures": figures,
        "exam": {
            "problems": recipe.exam_problems,
            "samples": recipe.exam_samples,
            "temperature": recipe.serving_temperature,
        },
        "losses": losses,
        "parameters": {"language": count_weights(language_model), "reward": count_weights(reward_model)},
        "context": LONGEST_CONTEXT,
        "step_tag_id": tokenizer.convert_tokens_to_ids(STEP_TAG),
        "recipe": asdict(recipe),
        "run": run,
    }


def _curve(losses: Sequence[float], points: int = 20) -> list[float]:
    """Average the losses over `points` equal stretches of training."""
    stretch = max(1, len(losses) // points)
    chunks = [losses[first : first + stretch] for first in range(0, len(losses), stretch)]
    return [round(sum(chunk) / len(chunk), 4) for chunk in chunks]


def count_weights(model: torch.nn.Module) -> int:
    """Return the number of a network's parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"one {torch.cuda.get_device_name(device)}"
    return f"{torch.get_num_threads()} CPU threads"


@contextmanager
def progress_bars(console: Console) -> Iterator[StartBar]:
    """Show a bar per stage; where the output is no terminal, a line every half minute instead."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, TextColumn("{task.fields[remark]}"), console=console, disable=not console.is_terminal
    ) as bars:

        def start(name: str, total: int) -> Bar:
            task = bars.add_task(name, total=total, remark="")
            done, spoke = 0, time.monotonic()

            def advance(by: int, remark: str = "") -> None:
                nonlocal done, spoke
                done += by
                bars.update(task, advance=by, remark=remark)
                if not console.is_terminal and (done >= total or time.monotonic() - spoke > 30):
                    spoke = time.monotonic()
                    console.print(f"{name}: {done}/{total} {remark}")

            return advance

        yield start


def main(argv: Sequence[str] | None = None) -> int:
    """Train, examine and write both models; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.train",
        description="Train the bundled language model and its process reward model, examine them, write their folders.",
    )
    parser.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        default="full",
        help="full (default): the bundled pair, under two"
        " hours on two CPU cores; short: tiny ones in about a minute, to see that it works",
    )
    parser.add_argument("--seed", type=int, default=7, help="fixes data, weights and sampling (default 7)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/models"),
        help="where abacus/ and abacus-prm/ are written (default build/models; the bundled ones are in models/)",
    )
    parser.add_argument(
        "--work", type=Path, help="keep checkpoints here and go on from those found (default: none kept)"
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU where there is one"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--note", default="", help="a sentence for the model cards about how this run was made")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    name = options.device if options.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    command = f"python -m models.train --preset {options.preset} --seed {options.seed}"
    console = Console()
    with tempfile.TemporaryDirectory() as scratch, progress_bars(console) as start:
        work = options.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        report = train(
            PRESETS[options.preset], options.seed, options.out, work, torch.device(name), start, command, options.note
        )
    console.print_json(json.dumps({"figures": report["figures"], "minutes": report["run"]["minutes"]}))
    console.print(f"written to {options.out / LANGUAGE_FOLDER} and {options.out / REWARD_FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
