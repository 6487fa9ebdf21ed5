"""``espalier ask``: puts a question to a running server and shows the tree growing, then the answer."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from mcts.errors import StartupError
from server.cli.plain import plain
from server.cli.service import (
    EXIT_REFUSED,
    Refused,
    add_server_flags,
    address,
    key_headers,
    message_of,
    no_server,
    say,
    wrong_address,
)
from server.cli.sse import lines_of
from server.cli.tree import GrowingTree, vote_line

_PICTURE_COLUMNS = 104

_SILENCE_SECONDS = 120.0
"""A server sends something at least every 15 s; this much silence means that it is gone."""


def add_command(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "ask",
        help="ask a running server a question and watch the search",
        description="Asks a running server and shows the tree growing, then the answer, the votes and what it cost.",
    )
    parser.add_argument("question", help="what to ask; '-' reads standard input")
    add_server_flags(parser)
    parser.add_argument("--model", default="", metavar="NAME", help="model or preset, such as abacus:uct-mini-32")
    search = parser.add_argument_group("search", "Changes to the preset. Higher numbers answer better and slower.")
    search.add_argument(
        "--strategy", metavar="NAME", help="uct, beam, majority, best_of_n, … or direct; docs/api.md lists all"
    )
    search.add_argument("--simulations", type=int, metavar="N", help="simulations of a tree search")
    search.add_argument("--samples", type=int, metavar="N", help="samples of majority and best-of-N")
    search.add_argument("--seconds", type=float, metavar="S", help="deadline in seconds")
    search.add_argument("--width", type=int, metavar="N", help="simulations in flight at once")
    search.add_argument("--branch", type=int, metavar="N", help="continuations per expansion")
    search.add_argument("--reward", metavar="NAME", help="prm or confidence")
    parser.add_argument("--picture", metavar="FILE", help="also save the tree and the answer as an SVG picture")
    sampling = parser.add_argument_group("sampling")
    sampling.add_argument("--max-tokens", type=int, metavar="N", help="longest answer")
    sampling.add_argument("--temperature", type=float, metavar="T", help="higher draws more varied text")
    sampling.add_argument("--seed", type=int, metavar="N", help="for the same tree again, with --width 1")
    parser.set_defaults(run=ask)


def ask(parsed: argparse.Namespace) -> int:
    """Asks and shows.

    Raises:
        StartupError: The address is malformed, or the picture cannot be written.
    """
    console = Console(highlight=False)
    question = console.input("") if parsed.question == "-" else parsed.question
    tree = GrowingTree(question)
    try:
        for chunk in _shown(_chunks(parsed, question), tree, console):
            _print_end(chunk, console)
            if parsed.picture:
                _save_picture(parsed.picture, tree, chunk)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise wrong_address(parsed.url) from None
    except httpx.TransportError as error:
        return no_server(parsed.url, error)
    except Refused as error:
        return say(str(error), EXIT_REFUSED)
    return 0


def request_body(parsed: argparse.Namespace, question: str) -> dict[str, Any]:
    """The request: only what was asked for, so that the preset decides the rest."""
    search: dict[str, Any] = {
        name: getattr(parsed, name) for name in ("strategy", "samples", "width", "branch", "reward")
    }
    search["budget"] = _given({"simulations": parsed.simulations, "seconds": parsed.seconds}) or None
    body = {name: getattr(parsed, name) for name in ("model", "max_tokens", "temperature", "seed")}
    body |= {
        "messages": [{"role": "user", "content": question}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "search": {**_given(search), "progress": "events"},
    }
    return _given(body)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "")}


def _chunks(parsed: argparse.Namespace, question: str) -> Iterator[dict[str, Any]]:
    """The chunks of the stream."""
    headers, url = key_headers(parsed.api_key), address(parsed.url, "/v1/chat/completions")
    timeout = httpx.Timeout(_SILENCE_SECONDS, connect=5.0)
    with httpx.stream("POST", url, json=request_body(parsed, question), headers=headers, timeout=timeout) as reply:
        if reply.status_code != httpx.codes.OK:
            reply.read()
            raise Refused(message_of(reply))
        for line in lines_of(reply.iter_text()):
            if line.startswith("data: ") and line != "data: [DONE]":
                chunk = json.loads(line.removeprefix("data: "))
                if "error" in chunk:
                    raise Refused(plain(chunk["error"]["message"]))
                yield chunk


def _shown(chunks: Iterator[dict[str, Any]], tree: GrowingTree, console: Console) -> Iterator[dict[str, Any]]:
    """Shows progress; passes on the chunks that end the reply."""
    end: list[dict[str, Any]] = []
    with Live(console=console, refresh_per_second=8, transient=not console.is_terminal) as live:
        for chunk in chunks:
            if event := chunk.get("search_event"):
                before = tree.simulations
                tree.read(event)
                if console.is_terminal:
                    live.update(_view(tree))
                elif tree.simulations > before:
                    live.console.print(tree.headline())
            elif _is_answer(chunk):
                end.append(chunk)
                if console.is_terminal and not tree.simulations:  # plain decoding: the text itself is the progress
                    live.update(Text(plain(_text(end), lines=True)))
        if not tree.simulations:
            live.update(Text(""))  # the answer follows below
    yield from _joined(end)


def _view(tree: GrowingTree) -> Group:
    return Group(tree.headline(), tree.draw()) if len(tree) else Group(tree.headline())


def _is_answer(chunk: dict[str, Any]) -> bool:
    return "usage" in chunk or "search" in chunk or any(choice["delta"].get("content") for choice in chunk["choices"])


def _text(chunks: Iterable[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


def _joined(chunks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The answer, the search summary and the usage as one."""
    search: dict[str, Any] = next((chunk["search"] for chunk in chunks if "search" in chunk), {})
    usage: dict[str, Any] = next((chunk["usage"] for chunk in chunks if "usage" in chunk), {})
    yield {"text": _text(chunks), "search": search, "usage": usage}


def _print_end(reply: dict[str, Any], console: Console) -> None:
    search, usage = reply["search"], reply["usage"]
    console.print()
    console.print(Text(plain(reply["text"].strip(), lines=True)))
    console.print()
    if search["votes"] and search["vote"]:
        console.print(Text(f"votes   {vote_line(search['votes'])}", style="dim"), soft_wrap=True)
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    parts = [
        search["strategy"] + (f" by {search['reward']}" if search["reward"] else ""),
        f"{search['simulations']} done",
        f"{usage['completion_tokens']} tokens ({reasoning} of them search)",
        f"{search['seconds']:.1f} s",
        f"ended by {search['stop_reason']}",
    ]
    console.print(Text("search  " + " · ".join(parts), style="dim"), soft_wrap=True)


def _save_picture(path: str, tree: GrowingTree, reply: dict[str, Any]) -> None:
    """Draws what the terminal shows at the end once more, into a file."""
    canvas = Console(record=True, width=_PICTURE_COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    if tree.simulations:
        canvas.print(_view(tree))
    _print_end(reply, canvas)
    try:
        canvas.save_svg(path, title="espalier ask")
    except OSError as error:
        raise StartupError(f"--picture {path!r} cannot be written: {error.strerror}") from None
