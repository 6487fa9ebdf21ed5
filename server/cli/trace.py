"""``espalier trace``: lists the latest searches of a server, shows one, or writes it into a file.

Traces come from a running server or, with ``--folder``, from the files that one has written.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import ValidationError
from rich.console import Console

from mcts.budget import StopReason
from mcts.errors import StartupError
from server.cli.service import EXIT_REFUSED, Refused, add_server_flags, fetched, no_server, say
from server.cli.trace_folder import listed_in, trace_in
from server.cli.trace_view import MOST_NODES, print_list, print_trace
from server.dashboard.page import trace_page
from server.schemas.trace import SearchQuery, SearchTrace

LATEST = "last"
"""Stands for the id of the search that began last."""

WIDE = 240
"""Columns of output that goes into a file or another program."""

FORMATS: dict[str, Callable[[dict[str, Any]], str]] = {
    "json": lambda trace: json.dumps(trace, indent=1) + "\n",
    "html": trace_page,
}
"""What a trace can be written as, by name and ending of files."""


def add_command(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "trace",
        help="list, show and export the searches of a server",
        description="Reads the traces of searches: the tree that each grew, its candidates and the vote.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_list(actions)
    _add_show(actions)
    _add_export(actions)


def _add_list(actions: Any) -> None:
    parser = _action(actions, "list", "the latest searches, the latest first", show_list)
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="most searches, 1 to 100 (default: 20)")
    parser.add_argument("--after", metavar="ID", help="go on behind this search")
    parser.add_argument("--strategy", metavar="NAME", help="only searches by this strategy")
    parser.add_argument("--stop-reason", metavar="REASON", help=f"one of: {', '.join(StopReason)}")
    parser.add_argument("--state", metavar="STATE", help="running, finished, failed or cancelled")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_show(actions: Any) -> None:
    parser = _action(actions, "show", "one search: its tree, its candidates and the vote", show)
    parser.add_argument("id", metavar="ID", help=f"the reply's search.id, or '{LATEST}' for the search that began last")
    parser.add_argument(
        "--nodes",
        type=int,
        default=MOST_NODES,
        metavar="N",
        help="nodes to draw, the most visited ones (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_export(actions: Any) -> None:
    parser = _action(actions, "export", "write one search into a file, for a bug report", export)
    parser.add_argument("id", metavar="ID", help=f"the reply's search.id, or '{LATEST}' for the search that began last")
    parser.add_argument("--format", choices=FORMATS, help="default: by the file's ending, else json")
    parser.add_argument("--output", metavar="FILE", help="default: ID.FORMAT here; '-' is standard output")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")


def _action(actions: Any, name: str, told: str, run: Callable[[argparse.Namespace], int]) -> Any:
    parser = actions.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.")
    add_server_flags(parser)
    parser.add_argument("--folder", metavar="PATH", help="read the files of a server's trace_folder instead")
    parser.set_defaults(run=lambda parsed: _answered(run, parsed))
    return parser


def _answered(run: Callable[[argparse.Namespace], int], parsed: argparse.Namespace) -> int:
    try:
        return run(parsed)
    except httpx.TransportError as error:
        return no_server(parsed.url, error)
    except Refused as error:
        return say(str(error), EXIT_REFUSED)


def show_list(parsed: argparse.Namespace) -> int:
    """Prints the list.

    Raises:
        StartupError: An argument cannot be used.
        Refused: The server says no.
    """
    names = ("limit", "after", "strategy", "stop_reason", "state")
    page = _page(parsed, **{name: getattr(parsed, name) for name in names})
    if parsed.json:
        sys.stdout.write(json.dumps(page, indent=1) + "\n")
    else:
        print_list(page, _console())
    return 0


def show(parsed: argparse.Namespace) -> int:
    """Prints one search.

    Raises:
        StartupError: An argument cannot be used.
        Refused: There is no such search, or what is there is no trace.
    """
    if parsed.nodes < 1:
        raise StartupError(f"--nodes must be at least 1, not {parsed.nodes}")
    trace = _trace(parsed)
    if parsed.json:
        sys.stdout.write(FORMATS["json"](trace))
    else:
        print_trace(trace, _console(), parsed.nodes)
    return 0


def export(parsed: argparse.Namespace) -> int:
    """Writes one search into a file.

    Raises:
        StartupError: The file is there already, or cannot be written.
        Refused: There is no such search, or what is there is no trace.
    """
    trace = _trace(parsed)
    ending = Path(parsed.output or "").suffix.lower().removeprefix(".")
    form = parsed.format or (ending if ending in FORMATS else "json")
    content = FORMATS[form](trace)
    if parsed.output == "-":
        sys.stdout.write(content)
        return 0
    file = Path(parsed.output or f"{_file_name(str(trace['id']))}.{form}")
    try:
        with file.open("w" if parsed.force else "x", encoding="utf-8") as opened:
            opened.write(content)
    except FileExistsError:
        raise StartupError(f"--output {str(file)!r} is there already; --force writes over it") from None
    except OSError as error:
        raise StartupError(f"--output {str(file)!r} cannot be written: {error.strerror}") from None
    sys.stdout.write(f"{file}\n")
    return 0


def _page(parsed: argparse.Namespace, **query: Any) -> dict[str, Any]:
    if parsed.folder is None:
        return fetched(parsed.url, parsed.api_key, "/v1/searches", query)
    try:
        asked = SearchQuery.model_validate({name: value for name, value in query.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise StartupError(f"--{str(first['loc'][0]).replace('_', '-')}: {first['msg']}") from None
    return listed_in(Path(parsed.folder), asked)


def _trace(parsed: argparse.Namespace) -> dict[str, Any]:
    """The trace that is asked for, if it is one."""
    search_id = parsed.id
    if search_id == LATEST:
        listed = _page(parsed, limit=1).get("data")
        if not listed:
            raise Refused("no trace is kept")
        search_id = listed[0]["id"]
    if parsed.folder is None:
        trace = fetched(parsed.url, parsed.api_key, f"/v1/searches/{quote(str(search_id), safe='')}")
    else:
        trace = trace_in(Path(parsed.folder), search_id)
    try:
        SearchTrace.model_validate(trace)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise Refused(f"this is no trace that this version can read: {where}: {fault['msg']}") from None
    return trace


def _file_name(search_id: str) -> str:
    """The id as the name of a file: nothing in it leads to another folder, whoever made it up."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", search_id)[:100]


def _console() -> Console:
    """The terminal; where there is none, lines as long as they come."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDE)
