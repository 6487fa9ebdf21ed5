"""The command line: ``espalier serve``, ``espalier ask``, ``espalier trace`` and ``espalier version``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mcts.errors import StartupError
from server.cli import ask, serve, trace
from server.version import version

WRONG_USAGE = 2
"""Exit code for settings and arguments that cannot work."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits with its code. Faults of the caller are one line on standard error."""
    parser = argparse.ArgumentParser(prog="espalier", description="Answers chats by tree search over a language model.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    serve.add_command(commands)
    ask.add_command(commands)
    trace.add_command(commands)
    commands.add_parser("version", help="print the version").set_defaults(run=_version)
    parsed = parser.parse_args(arguments)
    try:
        code = parsed.run(parsed)
    except StartupError as error:
        sys.stderr.write(f"espalier: {error}\n")
        code = WRONG_USAGE
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _version(_: argparse.Namespace) -> int:
    sys.stdout.write(f"espalier {version()}\n")
    return 0
