"""``python -m evals``: accuracy against budget on a running server, or on one it starts itself."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import httpx
from rich.console import Console

from evals.measure import Bench, Measured, measure
from evals.plots import plot
from evals.provenance import provenance
from evals.report import page
from evals.serving import own_server
from evals.store import Store, source_mark
from evals.suites import SHARES, SUITES
from models.problems import KINDS, generate
from reward.answers import StandardAnswers
from reward.verifier import Verifier

SOURCES = ("mcts", "reward", "engine", "server", "models/abacus", "models/abacus-prm")
"""What decides the figures of a server of our own. A run is measured again when any of it has changed."""


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m evals", description=__doc__)
    parser.add_argument(
        "--suite", choices=SUITES, nargs="+", default=list(SUITES), help="which configurations to measure together"
    )
    parser.add_argument("--url", help="a running server; without it one is started with the bundled model")
    parser.add_argument("--model", default="abacus", help="model name to ask for")
    parser.add_argument("--kind", choices=KINDS, nargs="+", default=list(KINDS), help="kinds of problems")
    # A percent sign is doubled because argparse formats its help texts.
    shares = ", ".join(f"{suite} {100 * share:.0f}%%" for suite, share in SHARES.items())
    parser.add_argument(
        "--count", type=int, default=300, help=f"problems of each kind; suites ask parts of them: {shares}"
    )
    parser.add_argument(
        "--problems",
        type=_suite_count,
        nargs="+",
        default=[],
        metavar="SUITE=N",
        help="problems of each kind in one suite, in place of its part of --count",
    )
    parser.add_argument("--seed", type=int, default=20261123, help="seed of the problems")
    parser.add_argument("--simulations", type=int, default=32, help="simulations of each search in main and modes")
    parser.add_argument("--concurrency", type=int, default=16, help="questions asked at the same time")
    parser.add_argument(
        "--resume", action="store_true", help="take runs in --out that are complete and whose settings are the same"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/evals"), help="folder of the replies and figures")
    parser.add_argument("--page", type=Path, help="also write the tables as a Markdown page there")
    parser.add_argument("--plot", type=Path, help="also draw accuracy against tokens there: of family, if measured")
    return parser.parse_args(argv)


def _suite_count(text: str) -> tuple[str, int]:
    suite, _, number = text.partition("=")
    if suite not in SUITES or not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"expected SUITE=N with a suite among {', '.join(SUITES)}, got {text!r}")
    return suite, int(number)


def problems_of(options: argparse.Namespace, suite: str) -> int:
    """How many problems of each kind a suite asks."""
    return int(dict(options.problems).get(suite, math.ceil(options.count * SHARES[suite])))


async def evaluate(options: argparse.Namespace, suite: str, url: str, server: str, console: Console) -> Measured:
    """Measures one suite on the server at ``url``."""
    count = problems_of(options, suite)
    problems = {kind: list(generate(kind, count, options.seed)) for kind in options.kind}
    limits = httpx.Limits(max_connections=options.concurrency)
    store = Store(options.out / suite, options.resume)
    # As servers compare answers unless told otherwise: else votes taken again would not be those of the searches.
    answers = StandardAnswers(verifier=Verifier())
    try:
        async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:
            bench = Bench(client, server, options.concurrency, store, answers, console)
            return await measure(bench, SUITES[suite](options.model, options.simulations), problems)
    finally:
        await answers.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the exit status is 1 when any question met an error."""
    options = arguments(argv)
    console = Console(stderr=True)
    options.out.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).parents[1]
    server = options.url or source_mark([root / folder for folder in SOURCES])
    with own_server(console) if options.url is None else nullcontext(options.url) as url:
        suites = {suite: asyncio.run(evaluate(options, suite, url, server, console)) for suite in options.suite}
    figures = {suite: [asdict(row) for row in measured.figures] for suite, measured in suites.items()}
    (options.out / "figures.json").write_text(json.dumps(figures), encoding="utf-8")
    command = f"python -m evals {shlex.join(sys.argv[1:] if argv is None else argv)}".strip()
    minutes = sum(measured.seconds for measured in suites.values()) / 60
    text = page(suites, provenance(command, options.seed, server, minutes), _picture(options))
    if options.page:
        options.page.write_text(text, encoding="utf-8")
    if options.plot:
        plot(suites["family" if "family" in suites else options.suite[0]].figures, options.plot)
    Console().print(text, soft_wrap=True, markup=False, highlight=False)
    return int(any(row.errors for measured in suites.values() for row in measured.figures))


def _picture(options: argparse.Namespace) -> str | None:
    """The plot's address as the page must give it."""
    if options.plot is None:
        return None
    return Path(os.path.relpath(options.plot, options.page.parent if options.page else Path())).as_posix()


if __name__ == "__main__":
    sys.exit(main())
