"""`python -m models.examine`: examine the two folders as they are, and write the report and the cards anew."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from transformers import AutoTokenizer

from models.card import describe_run, write_cards
from models.export import read_language_model, read_reward_model
from models.recipe import FULL
from models.stages import examine_all
from models.train import LANGUAGE_FOLDER, REWARD_FOLDER, make_report, progress_bars

_MEASURED_ONLY = "The command measured the pair; `python -m models.train --seed 7` made it."


def main(argv: Sequence[str] | None = None) -> int:
    """Examine, report, write cards; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.examine",
        description="Measure the bundled pair on held-out problems and write its report and model cards.",
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of abacus/ and abacus-prm/")
    parser.add_argument("--seed", type=int, default=7, help="of the held-out problems and samples (default 7)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--note", default=_MEASURED_ONLY, help="how the weights were made, for the cards")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    language, reward = options.models / LANGUAGE_FOLDER, options.models / REWARD_FOLDER
    tokenizer = AutoTokenizer.from_pretrained(language)
    pair = read_language_model(language), read_reward_model(reward)
    began = time.monotonic()
    with progress_bars(Console()) as start:
        figures = examine_all(FULL, tokenizer, *pair, options.seed, start)
    minutes = {"exam": (time.monotonic() - began) / 60}
    run = describe_run(
        f"python -m models.examine --seed {options.seed}", options.seed, f"{options.threads} CPU threads", minutes
    ) | {"note": options.note}
    report = make_report(FULL, tokenizer, *pair, figures, {}, run)
    write_cards(report, language, reward)
    Console().print_json(data=figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
