"""``make check-clients``: starts the server with the bundled model, runs every client against it, prints a table."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from evals.serving import own_server
from models.problems import generate
from server.bundled import bundled

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
INSTALLED = ROOT / ".clients"
PROBLEMS = 40

Outcome = dict[str, Any]


def install() -> None:
    """Puts the clients into an environment of their own, from locks; nothing when they are there already."""
    python = INSTALLED / "bin" / "python"
    lock = HERE / "requirements.txt"
    stamp = INSTALLED / ".installed"
    wanted = lock.read_text(encoding="utf-8") + (HERE / "package-lock.json").read_text(encoding="utf-8")
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    _run([sys.executable, "-m", "venv", "--clear", str(INSTALLED)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(lock)])
    node = INSTALLED / "node"
    node.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, node)
    _run(["npm", "ci", "--no-audit", "--no-fund", "--silent", "--prefix", str(node)])
    stamp.write_text(wanted, encoding="utf-8")


def scripts() -> dict[str, list[str]]:
    """Each client and the command of its script."""
    python = str(INSTALLED / "bin" / "python")
    return {
        "openai (Python)": [python, str(HERE / "check_openai.py")],
        "openai (JavaScript)": ["node", str(HERE / "check_javascript.mjs")],
        "LangChain ChatOpenAI": [python, str(HERE / "check_langchain.py")],
        "lm-eval": [python, str(HERE / "check_lm_eval.py")],
        "docs/clients.md": [python, str(HERE / "check_page.py")],
        "vllm bench serve": [sys.executable, str(HERE / "check_vllm_bench.py")],
    }


def outcomes(client: str, command: list[str], environment: dict[str, str]) -> Iterator[Outcome]:
    """What each check of one client found; a script that fails itself is one that failed."""
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if line.startswith('{"client"')]
    yield from map(json.loads, told)
    if done.returncode or not told:
        detail = done.stderr[-2000:] or f"exit status {done.returncode}"
        yield {"client": client, "version": "?", "check": "the script", "detail": detail, "seconds": 0.0}


def main() -> int:
    """Runs everything; the exit status is 1 when any check failed."""
    console = Console()
    with console.status("installing the clients into .clients (once)"):
        install()
    records = INSTALLED / "problems.jsonl"
    lines = (json.dumps({"question": r["question"], "answer": str(r["answer"])}) for r in generate("word", PROBLEMS, 1))
    records.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found: list[Outcome] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with own_server(console) as url, Progress(*columns, console=console, transient=True) as progress:
        environment = dict(os.environ)
        environment |= {"ESPALIER_URL": url, "ESPALIER_RECORDS": str(records), "ESPALIER_TOKENIZER": bundled("abacus")}
        environment |= {"ESPALIER_NODE": str(INSTALLED / "node")}
        for client, command in scripts().items():
            task = progress.add_task(client)
            found += outcomes(client, command, environment)
            progress.remove_task(task)
    return report(found, console)


def report(found: list[Outcome], console: Console) -> int:
    """Prints the table, then the details of what failed."""
    table = Table("client", "version", "check", "", "seconds", title="Clients against a started server")
    for one in found:
        verdict = "[red]failed[/red]" if one["detail"] else "[green]ok[/green]"
        table.add_row(one["client"], one["version"], one["check"], verdict, f"{one['seconds']:.2f}")
    console.print(table)
    failed = [one for one in found if one["detail"]]
    for one in failed:
        console.rule(f"{one['client']}: {one['check']}")
        console.print(one["detail"], markup=False, highlight=False)
    console.print(f"{len(found) - len(failed)} of {len(found)} checks passed")
    return int(bool(failed))


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
