"""``make fuzz``: a hundred thousand hostile inputs and more, and a table of how many and what broke.

Atheris, guided by coverage, on what reads a model's or a client's text; hypothesis on the same and on bodies of
requests; schemathesis on a server, from our OpenAPI document.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.fuzz.seeds import PIECES, SEEDS

TARGETS = ("answers", "thoughts", "stream", "calls", "body")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one fuzzer did: how many inputs it tried, and the end of what it said if one broke something."""

    name: str
    inputs: int
    seconds: float
    broke: str = ""


def guided(target: str, runs: int, seed: int) -> Outcome:
    """One property under atheris, from our seeds and with our dictionary."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        corpus, words = home / "corpus", home / "words"
        corpus.mkdir()
        for number, text in enumerate(SEEDS[target]):
            # The first byte tells atheris how the text is encoded; "\x01" is ASCII.
            (corpus / str(number)).write_bytes((b"" if target == "body" else b"\x01") + text.encode("ascii"))
        words.write_text("\n".join(f'"{_quoted(piece)}"' for piece in PIECES), encoding="ascii")
        flags = [f"-runs={runs}", f"-seed={seed}", "-max_len=600", "-timeout=20", f"-dict={words}"]
        command = [sys.executable, "-m", "tests.fuzz.target", target, *flags, "-artifact_prefix=fuzz-", str(corpus)]
        code, text, seconds = _run(command)
    done = re.search(r"Done (\d+) runs", text)
    return Outcome(
        f"atheris: {target}", int(done[1]) if done else 0, seconds, "" if done and not code else text[-2000:]
    )


def by_hypothesis(examples: int) -> Outcome:
    """The properties of ``tests/test_fuzzing.py``."""
    command = [sys.executable, "-m", "pytest", "tests/test_fuzzing.py", "-q", "--hypothesis-profile", "fuzz"]
    code, text, seconds = _run([*command, "--hypothesis-show-statistics", "--timeout=3600"], {"FUZZ": str(examples)})
    tried = sum(int(found) for found in re.findall(r"(\d+) passing\b", text))
    return Outcome("hypothesis", tried, seconds, text[-2000:] if code else "")


def by_schemathesis(examples: int) -> Outcome:
    """Requests made up from our own document."""
    code, text, seconds = _run([sys.executable, "-m", "tests.server.fuzz_api", "--examples", str(examples)])
    tried = re.search(r"(\d[\d,]*) generated", text)
    return Outcome(
        "schemathesis", int(tried[1].replace(",", "")) if tried else 0, seconds, text[-2000:] if code else ""
    )


def main() -> int:
    """Runs them all; 1 when something broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--runs", type=int, default=40_000, help="inputs of each of atheris's targets")
    parser.add_argument("--examples", type=int, default=20_000, help="inputs of each of hypothesis's properties")
    parser.add_argument("--requests", type=int, default=300, help="schemathesis's cases for each operation")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    console = Console(stderr=True)
    jobs = [lambda target=target: guided(target, given.runs, given.seed) for target in TARGETS]
    jobs += [lambda: by_hypothesis(given.examples), lambda: by_schemathesis(given.requests)]
    outcomes = []
    for job in jobs:
        outcomes.append(job())
        console.print(_line(outcomes[-1]))
    _print(outcomes)
    return int(any(each.broke for each in outcomes))


def _run(command: list[str], more: dict[str, str] | None = None) -> tuple[int, str, float]:
    began = time.monotonic()
    done = subprocess.run(
        command,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(more or {})},
    )
    return done.returncode, done.stdout, time.monotonic() - began


def _quoted(piece: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in piece.encode())


def _line(outcome: Outcome) -> str:
    return f"{outcome.name}: {outcome.inputs:,} inputs in {outcome.seconds:.0f} s" + (
        f", broke:\n{outcome.broke}" if outcome.broke else ""
    )


def _print(outcomes: list[Outcome]) -> None:
    table = Table("fuzzer", "inputs", "seconds", "outcome")
    for each in outcomes:
        table.add_row(each.name, f"{each.inputs:,}", f"{each.seconds:.0f}", "broke" if each.broke else "held")
    table.add_row(
        "all", f"{sum(each.inputs for each in outcomes):,}", f"{sum(each.seconds for each in outcomes):.0f}", ""
    )
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
