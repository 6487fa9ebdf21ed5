"""The server that is tortured: a process of its own, its log, its memory, its open files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
START_SECONDS = 900.0  # an engine loads in 10 s on an idle machine, and in minutes on a busy one
READY = re.compile(r"ready on (http://\S+)")
CHATS = "/v1/chat/completions"


@dataclass(eq=False)
class Target:
    """A running server."""

    process: asyncio.subprocess.Process
    url: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """Of the server's own process."""
        return self.process.pid

    def logged(self, message: str) -> list[dict[str, Any]]:
        """The log's records with a message, oldest first."""
        records = (json.loads(line) for line in self.lines if line.startswith("{"))
        return [record for record in records if record.get("message") == message]

    def engine_pids(self, role: str) -> list[int]:
        """Processes of the engine that writes (``generation``) or scores (``reward``), as of its latest start."""
        started = [record for record in self.logged("engine started") if record["engine"] == role]
        return [int(pid) for pid in started[-1]["pids"]] if started else []

    def memory_bytes(self) -> int:
        """Private memory of the server and of all processes that it started."""
        return sum(map(_private_bytes, family(self.pid)))

    def open_files(self) -> int:
        """Of the server's own process."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    async def ended(self, seconds: float) -> int | None:
        """The exit code; None when it does not end in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self.process.wait()
        except TimeoutError:
            return None


@asynccontextmanager
async def target(*flags: str) -> AsyncIterator[Target]:
    """Starts a server with these flags on a free port, waits until it is ready, and ends it afterwards."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ESPALIER_")}
    command = ("-c", "from server.cli import main; main()", "serve", "--port", "0", "--log-format", "json", *flags)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=ROOT,
        env={**kept, "COLUMNS": "200", "PYTHONPATH": str(ROOT)},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    running = Target(process)
    ready = asyncio.Event()
    reading = asyncio.create_task(_read(running, ready))
    try:
        async with asyncio.timeout(START_SECONDS):
            await asyncio.wait({reading, waiting := asyncio.create_task(ready.wait())}, return_when="FIRST_COMPLETED")
            waiting.cancel()
        if not running.url:
            raise RuntimeError("the server did not start:\n" + "".join(running.lines))
        yield running
    finally:
        await _end(process)
        await reading


async def _read(running: Target, ready: asyncio.Event) -> None:
    stream = running.process.stderr
    while stream and (line := (await stream.readline()).decode(errors="replace")):
        running.lines.append(line)
        if found := READY.search(line):
            running.url = found[1]
            ready.set()


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                await process.wait()


def client(running: Target, *, connections: int = 1000) -> httpx.AsyncClient:
    """A client that opens as many connections as are asked for and waits long."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=running.url, timeout=300, limits=limits)


async def metric(asker: httpx.AsyncClient, name: str) -> float:
    """The sum of a metric's series."""
    lines = (await asker.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
    return found


def _private_bytes(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return sum(int(size) * 1024 for size in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.MULTILINE))
