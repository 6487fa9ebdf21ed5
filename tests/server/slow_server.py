"""A server whose engine calls take SECONDS, for tests of signals: ``slow_server.py SECONDS [setting=value …]``.

``dies_after=N`` is no setting: the engine is taken for dead once it has had so many calls and none is open.
"""

from __future__ import annotations

import sys

from engine.scripted import ScriptedEngine
from mcts.errors import ServerError
from server.app import create_app
from server.backend import Backend, Report
from server.cli.serve import StartupLines
from server.logs import configure_logging
from server.process import listen, run
from server.settings import Settings
from tests.server.service import backend, settings


def main(seconds: str, *changes: str) -> int:
    """Serves on a free port; prints the address once ready."""
    given = dict(change.split("=", 1) for change in changes)
    lives = int(given.pop("dies_after", 10**9))

    async def load(_: Settings, __: Report) -> Backend:
        engine = ScriptedEngine(latency=lambda _, __: float(seconds))
        return backend(engine, healthy=lambda: engine.calls < lives or engine.open_calls > 0)

    from rich.console import Console

    chosen = settings(**given)
    configure_logging("info", "json")
    opened = listen("127.0.0.1", 0)
    lines = StartupLines(Console(stderr=True, highlight=False))
    app = create_app(chosen, load=load)
    try:
        return run(app, opened, lambda: lines.ready(f"http://127.0.0.1:{opened.getsockname()[1]}", "abacus"))
    except ServerError as error:
        print(error, file=sys.stderr)  # noqa: T201 - as the command does
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
