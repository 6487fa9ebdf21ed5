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

# True of the pair in the repository; `models.train` writes its own cards.
_MADE_BY_HAND = (
    "The command measured the pair; it did not make it. The pair was made by stages of models.train run by hand, each"
    " from the checkpoint before, while the problems were still being tuned: the language model learned stories and"
    " countdown alone to step 1500 (batches of 6144 tokens), drills besides to 4250, smaller numbers and forgiving"
    " countdowns to 5750, larger numbers and longer chains to 6100; the reward model took 1200 steps above it, frozen."
    " A run of `python -m models.train` makes a pair of its own, which has not been measured."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Examine, report, write cards; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.examine",
        description="Measure the bundled pair on held-out problems and write its report and model cards.",
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of abacus/ and abacus-prm/")
    parser.add_argument("--seed", type=int, default=7, help="of the held-out problems and samples (default 7)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--note", default=_MADE_BY_HAND, help="how the weights were made, for the cards")
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
