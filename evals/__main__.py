"""``python -m evals``: accuracy against budget on a running server, or on one it starts itself."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import httpx
from rich.console import Console

from evals.measure import Figures, measure
from evals.report import page, plot
from evals.serving import own_server
from evals.suites import SHARES, SUITES
from models.problems import KINDS, generate


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m evals", description=__doc__)
    parser.add_argument(
        "--suite", choices=SUITES, nargs="+", default=list(SUITES), help="which configurations to measure together"
    )
    parser.add_argument("--url", help="a running server; without it one is started with the bundled model")
    parser.add_argument("--model", default="abacus", help="model name to ask for")
    parser.add_argument("--kind", choices=KINDS, nargs="+", default=list(KINDS), help="families of problems")
    parser.add_argument(
        "--count", type=int, default=300, help="problems of each family in the main suite; modes takes a fifth"
    )
    parser.add_argument("--seed", type=int, default=20261123, help="seed of the problems")
    parser.add_argument("--simulations", type=int, default=32, help="simulations of each tree search")
    parser.add_argument("--concurrency", type=int, default=16, help="questions asked at the same time")
    parser.add_argument("--out", type=Path, default=Path("runs/evals"), help="folder of the replies and figures")
    parser.add_argument("--page", type=Path, help="also write the tables as a Markdown page there")
    parser.add_argument("--plot", type=Path, help="also draw the first suite's accuracy against tokens there")
    return parser.parse_args(argv)


async def evaluate(options: argparse.Namespace, suite: str, url: str, console: Console) -> list[Figures]:
    """Measures one suite on the server at ``url``."""
    count = math.ceil(options.count * SHARES[suite])
    problems = {kind: list(generate(kind, count, options.seed)) for kind in options.kind}
    limits = httpx.Limits(max_connections=options.concurrency)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:
        return await measure(
            client,
            SUITES[suite](options.model, options.simulations),
            problems,
            concurrency=options.concurrency,
            folder=options.out,
            console=console,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the exit status is 1 when any question met an error."""
    options = arguments(argv)
    console = Console(stderr=True)
    options.out.mkdir(parents=True, exist_ok=True)
    with own_server(console) if options.url is None else nullcontext(options.url) as url:
        suites = {suite: asyncio.run(evaluate(options, suite, url, console)) for suite in options.suite}
    (options.out / "figures.json").write_text(
        json.dumps({suite: [asdict(row) for row in figures] for suite, figures in suites.items()}), encoding="utf-8"
    )
    text = page(suites, f"python -m evals {shlex.join(sys.argv[1:] if argv is None else argv)}".strip(), options.plot)
    if options.page:
        options.page.write_text(text, encoding="utf-8")
    if options.plot:
        plot(suites[options.suite[0]], options.plot)
    Console().print(text, soft_wrap=True, markup=False, highlight=False)
    return int(any(row.errors for figures in suites.values() for row in figures))


if __name__ == "__main__":
    sys.exit(main())
