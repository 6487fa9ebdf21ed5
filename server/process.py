"""The process around the app: its socket, its signals and its exit code.

The first SIGTERM or SIGINT drains: readiness turns 503, new chats get 503, running searches go on until they are done,
or give their best answer so far when the drain time is over. A second one ends the process now.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from mcts.errors import StartupError
from server.heap import settle_heap
from server.protocol import limited
from server.runtime import Phase, Runtime

_log = logging.getLogger("espalier")

EXIT_STOPPED, EXIT_FAILED, EXIT_NOW = 0, 1, 1

OVERTIME_SECONDS = 1.0
"""How long searches that are told to give their best answer so far may take to put it together."""

LAST_SECONDS = 5
"""How long connections may take to send their last bytes once all searches have ended."""

KEEP_CONNECTION_SECONDS = 75
"""How long an idle connection stays open: longer than proxies keep theirs, so that they never reuse a closed one."""


def listen(host: str, port: int) -> socket.socket:
    """Opens the socket before any model is loaded, so that a busy port is told at once.

    Raises:
        StartupError: The address is not ours or the port is taken; the message says what to do.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError):
        raise StartupError(f"the host {host!r} is not an address of this machine (--host)") from None
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(2048)
    except OSError as error:
        opened.close()
        raise StartupError(_why_not(host, port, error)) from None
    return opened


def run(app: FastAPI, opened: socket.socket, on_ready: Callable[[], None]) -> int:
    """Serves until told to stop.

    Args:
        app: Made by ``create_app``.
        opened: A listening socket.
        on_ready: Called once when chats are answered.

    Returns:
        The exit code.

    Raises:
        StartupError: The models do not load.
        EngineDead: An engine died for good.
    """
    config = uvicorn.Config(
        app,
        http=limited(app.state.runtime.settings.max_header_bytes),
        ws="none",  # an upgrade would be another way past the app's layers
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_CONNECTION_SECONDS,
        timeout_graceful_shutdown=LAST_SECONDS,
    )
    server = SearchServer(config, app.state.runtime, on_ready, on_up=settle_heap)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[opened]))
    if failure := server.runtime.failure:
        raise failure
    return EXIT_STOPPED


class SearchServer(uvicorn.Server):
    """A uvicorn server that drains searches instead of connections.

    Args:
        config: Of uvicorn.
        runtime: The app's.
        on_ready: Called once, when chats are answered for the first time.
        on_up: Called each time that the engines have come up: at the start, and after one had died.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        runtime: Runtime,
        on_ready: Callable[[], None],
        on_up: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self.runtime = runtime
        self._on_ready, self._on_up = on_ready, on_up
        self._told_ready = self._told_draining = self._up = False
        self._drain_until: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Called by signals, in the main thread."""
        if self._drain_until is not None:
            _kill_children()
            os._exit(EXIT_NOW)
        self._drain_until = time.monotonic() + self.runtime.settings.drain_seconds
        self.runtime.drain()

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; True ends its main loop."""
        runtime = self.runtime
        if runtime.phase is Phase.FAILED and self._drain_until is None:
            self._drain_until, self._told_draining = time.monotonic(), True
        was_up, self._up = self._up, runtime.phase is Phase.READY
        if self._up and not was_up:
            self._on_up()
        if runtime.phase is Phase.READY and not self._told_ready:
            self._told_ready = True
            self._on_ready()
        if self._drain_until is not None and not self._told_draining:
            self._told_draining = True
            _log.info("draining", extra={"fields": {"searches_running": runtime.admission.running}})
        if self._drain_until is not None and self._drained(self._drain_until):
            return True
        return await super().on_tick(counter)

    def _drained(self, until: float) -> bool:
        """Whether all requests have been answered, searches being told at the end of the drain to come to theirs."""
        if not self.server_state.tasks:
            return True
        now, runtime = time.monotonic(), self.runtime
        if now >= until:
            runtime.curfew.call()
        if now >= until + OVERTIME_SECONDS:
            runtime.stopping.set()  # searches that are left end with an error their clients can read
            return True
        return False


def _kill_children() -> None:
    """Ends the engines' processes, which would otherwise finish what they are at."""
    for child in _children():
        os.kill(child, signal.SIGKILL)


def _children() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid]


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; choose another with --port, or 0 for any free one"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"port {port} needs more rights than this user has; choose one above 1023 with --port"
    return f"cannot listen on {host}:{port}: {error.strerror}"
