"""Starts a server of its own for the length of a measurement."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from rich.console import Console

START_SECONDS = 900.0
"""Longest wait for readiness. Two engines on two idle cores take half a minute, beside a training run ten."""

STOP_SECONDS = 60.0
"""Longest wait for a server that was told to end; then it is killed."""


@contextmanager
def own_server(console: Console, *flags: str) -> Iterator[str]:
    """Runs ``espalier serve`` on a free port of 127.0.0.1 and yields its address once it is ready.

    Raises:
        RuntimeError: The server ended or was not ready in ``START_SECONDS``.
    """
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "server.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--log-level", "warning", *flags]  # a line per search would drown the progress
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own command
        try:
            with console.status("starting the server"):
                _wait_ready(process, url)
            yield url
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_ready(process: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode} before it was ready")
        try:
            if httpx.get(f"{url}/health/ready", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise RuntimeError(f"the server was not ready after {START_SECONDS:.0f} s")
