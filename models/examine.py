"""`python -m models.examine`: examine the two folders as they are, and write their figures and cards anew.

How the pair was made is kept as its report tells it.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from transformers import AutoTokenizer

from models.card import REPORT, write_cards
from models.export import read_language_model, read_reward_model
from models.recipe import FULL
from models.stages import examine_all
from models.train import LANGUAGE_FOLDER, REWARD_FOLDER, count_weights, progress_bars


def main(argv: Sequence[str] | None = None) -> int:
    """Examine, report, write cards; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.examine",
        description="Measure the bundled pair on held-out problems and write its report and model cards.",
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of abacus/ and abacus-prm/")
    parser.add_argument("--seed", type=int, default=7, help="of the held-out problems and samples (default 7)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--note", help="another sentence about how the weights were made, for the cards")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    language, reward = options.models / LANGUAGE_FOLDER, options.models / REWARD_FOLDER
    tokenizer = AutoTokenizer.from_pretrained(language)
    pair = read_language_model(language), read_reward_model(reward)
    began = time.monotonic()
    with progress_bars(Console()) as start:
        figures = examine_all(FULL, tokenizer, *pair, options.seed, start)
    report = json.loads((language / REPORT).read_text(encoding="utf-8"))
    report["figures"] = figures
    report["parameters"] = {
        name: count_weights(model) for name, model in zip(("language", "reward"), pair, strict=True)
    }
    report["exam"] |= {"command": f"python -m models.examine --seed {options.seed}"}
    report["run"]["minutes"]["exam"] = round((time.monotonic() - began) / 60, 1)
    if options.note is not None:
        report["run"]["note"] = options.note
    write_cards(report, language, reward)
    Console().print_json(data=figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
