"""``espalier serve``: settings, socket, models, ready."""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

from prometheus_client import disable_created_metrics
from rich.console import Console

from mcts.errors import ServerError, StartupError
from server.app import create_app
from server.cli.flags import add_flags, given_flags
from server.configuration import load_settings
from server.logs import configure_logging
from server.process import listen, run
from server.rewards import check_rewards
from server.tracing import start_tracing
from server.vllm_backend import check_models

EXIT_NOT_STARTED = 1


def add_command(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "serve",
        usage="espalier serve [--config FILE] [--SETTING VALUE ...]",
        help="start the server",
        description="Starts the server. With no flags it serves the bundled model on http://127.0.0.1:8000.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=36, width=110),
    )
    add_flags(parser)
    parser.set_defaults(run=serve)


def serve(parsed: argparse.Namespace) -> int:
    """Runs the server until it is told to stop.

    Raises:
        StartupError: Settings that cannot work.
    """
    settings = load_settings(given_flags(parsed), os.environ, parsed.config)
    _check_environment()
    check_rewards(settings)
    if settings.engine == "vllm" and not settings.engine_url:
        check_models(settings)
    console = Console(stderr=True, highlight=False)
    opened = listen(settings.host, settings.port)
    host, port = opened.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    configure_logging(settings.log_level, settings.log_format)
    # Prometheus has no use for the creation time of every series.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    startup = StartupLines(console)
    startup(f"listening on {url}")
    app = create_app(settings, report=startup, tracing=start_tracing(settings, os.environ))
    try:
        code = run(app, opened, lambda: startup.ready(url, app.state.runtime.settings.model_name))
    except ServerError as error:
        console.print(f"espalier: {error}", markup=False, soft_wrap=True)
        return EXIT_NOT_STARTED
    startup("stopped")
    return code


def _check_environment() -> None:
    """Numbers that other processes left in a folder would come up as ours."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        raise StartupError("PROMETHEUS_MULTIPROC_DIR is set, but this server is one process: unset it")


class StartupLines:
    """Prints each phase of start-up with the seconds since the beginning."""

    def __init__(self, console: Console) -> None:
        self._console, self._began = console, time.monotonic()

    def __call__(self, doing: str) -> None:
        """Prints one phase."""
        self._console.print(f"[dim]{self._seconds():>6.1f} s[/dim]  {doing}", soft_wrap=True)

    def ready(self, url: str, model: str) -> None:
        """Prints where the server is and how to ask it something."""
        self(f"[bold green]ready[/bold green] on {url} — try:")
        body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "What is 17 + 25?"}}]}}'
        command = f"curl -s {url}/v1/chat/completions -H 'Content-Type: application/json' -d '{body}'"
        self._console.print(f"          {command}", markup=False, soft_wrap=True)
        self._console.print(f'          espalier ask --url {url} "What is 17 + 25?"', markup=False, soft_wrap=True)

    def _seconds(self) -> float:
        return time.monotonic() - self._began
