"""Servers as processes of their own, for tests of signals, exit codes and the terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
ESPALIER = (sys.executable, "-c", "from server.cli import main; main()")


@dataclass(eq=False)
class Process:
    """A running server and what it wrote to standard error so far."""

    popen: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def text(self) -> str:
        """Everything on standard error."""
        return "".join(self.lines)

    def wait_for(self, pattern: str, seconds: float) -> re.Match[str]:
        """Waits until standard error has a match."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := re.search(pattern, self.text):
                return found
            if self.popen.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} within {seconds} s, exit code {self.popen.poll()}:\n{self.text}")

    def signal(self, number: int) -> None:
        """Sends a signal to this process alone."""
        self.popen.send_signal(number)

    def exit_code(self, seconds: float = 20) -> int:
        """Waits for the end."""
        return self.popen.wait(seconds)


@contextmanager
def running(command: Sequence[str], ready: str = r"ready on (http://\S+)", seconds: float = 30) -> Iterator[Process]:
    """Starts a server, waits until it says that it is ready, and ends it afterwards."""
    popen = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=clean_environment()
    )
    process = Process(popen)
    reader = threading.Thread(target=lambda: process.lines.extend(popen.stderr or ()), daemon=True)
    reader.start()
    try:
        process.url = process.wait_for(ready, seconds).group(1)
        yield process
    finally:
        if popen.poll() is None:
            popen.terminate()
            try:
                popen.wait(30)
            except subprocess.TimeoutExpired:
                popen.kill()
        popen.wait(10)
        reader.join(10)
        if popen.stderr:
            popen.stderr.close()


def clean_environment() -> dict[str, str]:
    """The environment without settings of ours, and with the sources importable."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ESPALIER_")}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}


def espalier(*arguments: str, seconds: float = 60, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [*ESPALIER, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**clean_environment(), **environ},
        check=False,
    )
