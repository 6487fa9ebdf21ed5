"""A server whose engine calls take SECONDS, for tests of signals: ``slow_server.py SECONDS [setting=value …]``."""

from __future__ import annotations

import sys

from engine.scripted import ScriptedEngine
from server.app import create_app
from server.backend import Backend, Report
from server.cli.serve import StartupLines
from server.logs import configure_logging
from server.process import listen, run
from server.settings import Settings
from tests.server.service import backend, settings


def main(seconds: str, *changes: str) -> int:
    """Serves on a free port; prints the address once ready."""

    async def load(_: Settings, __: Report) -> Backend:
        return backend(ScriptedEngine(latency=lambda _, __: float(seconds)))

    from rich.console import Console

    chosen = settings(**dict(change.split("=", 1) for change in changes))
    configure_logging("info", "json")
    opened = listen("127.0.0.1", 0)
    lines = StartupLines(Console(stderr=True, highlight=False))
    app = create_app(chosen, load=load)
    return run(app, opened, lambda: lines.ready(f"http://127.0.0.1:{opened.getsockname()[1]}", "abacus"))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
