"""Traces as the terminal shows them: the list, and one search with its tree, its candidates and the vote."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.cli.plain import short
from server.cli.tree import GrowingTree, vote_line

MOST_NODES = 30
"""Nodes that are drawn unless more are asked for."""

MOST_CANDIDATES = 10
"""Candidates that are shown, the best-rewarded ones."""

LONGEST = 60
"""Characters of a text in a table."""

STYLES = {"running": "cyan", "finished": "green", "failed": "red", "cancelled": "yellow"}


def print_list(page: Mapping[str, Any], console: Console) -> None:
    """Prints a page of searches as a table, one line each."""
    columns = ("search", "began", "strategy", "ended by", "tokens", "seconds", "value", "question")
    rows = [[Text(*cell) for cell in _cells(each)] for each in page["data"]]
    console.print(_table(columns, {"tokens", "seconds"}, rows))
    if page["has_more"] and page["data"]:
        console.print(Text(f"more: --after {short(str(page['data'][-1]['id']), 200)}", style="dim"), soft_wrap=True)


def _table(columns: Sequence[str], right: Collection[str], rows: Sequence[Sequence[Text]]) -> Table:
    """A table whose last column, a text, is cut where the terminal is narrow, and no other.

    Args:
        columns: Their heads.
        right: Those whose cells stand to the right, numbers.
        rows: The cells.
    """
    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, column in enumerate(columns):
        widest = max([len(column), *(row[place].cell_len for row in rows if place < len(row))])
        least = widest if place < len(columns) - 1 else 1
        table.add_column(column, no_wrap=True, min_width=least, justify="right" if column in right else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _cells(each: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The cells of a line, each with its style."""
    value = each["value"]
    yield short(str(each["id"]), 200), ""
    yield _time(each["created"]).removeprefix(_time(time.time())[:11]), ""  # the date unless it is today's
    yield short(str(each["strategy"]), LONGEST), ""
    yield short(str(each["stop_reason"] or each["state"]), LONGEST), STYLES.get(str(each["state"]), "")
    yield str(each["tokens"]["generated"]), ""
    yield f"{each['seconds']:.2f}", ""
    yield "–" if value is None else f"{value:.2f}", ""
    yield short(each["question"] or "", LONGEST), ""


def print_trace(trace: Mapping[str, Any], console: Console, most: int = MOST_NODES) -> None:
    """Prints one search.

    Args:
        trace: As ``SearchTrace``.
        console: Where to.
        most: Nodes to draw at most, and the winning path.
    """
    for line in _head(trace):
        console.print(line, soft_wrap=True)
    if trace["tree"]:
        console.print()
        console.print(tree_of(trace).draw(most))
    if trace["candidates"]:
        console.print()
        console.print(_candidates(trace))
    if trace["votes"] and trace["vote"]:
        console.print()
        console.print(Text(f"votes   {vote_line(trace['votes'])}"), soft_wrap=True)
    if trace["answer"] is not None:
        console.print(Text(f"answer  {short(trace['answer'], 200)}", style="bold"), soft_wrap=True)


def tree_of(trace: Mapping[str, Any]) -> GrowingTree:
    """The tree of a trace, for drawing."""
    tree = GrowingTree(trace["question"] or "(the question is not kept)")
    for node in trace["tree"]:
        text = f"({node['tokens']} tokens)" if node["text"] is None else node["text"]
        tree.read({"type": "node_added", **node, "text": text, "value": node["value_sum"]})
        if node["winning"]:
            tree.winner = node["node"]  # the last of the path, since parents come first
    return tree


def _head(trace: Mapping[str, Any]) -> Iterator[Text]:
    scored = f" by {trace['reward']}" if trace["reward"] else ""
    ended = trace["state"] if trace["stop_reason"] is None else f"{trace['state']}, ended by {trace['stop_reason']}"
    first = Text(short(str(trace["id"]), 200), style="bold")
    yield first.append(f"  {short(ended, LONGEST)}", style=STYLES.get(str(trace["state"]), ""))
    tokens = trace["tokens"]
    told = [
        _time(trace["created"]),
        str(trace["model"]),
        f"{trace['strategy']}{scored}",
        f"{trace['simulations']} done",
        f"{trace['nodes']} nodes, {trace['depth']} deep",
        f"{tokens['generated']} tokens ({tokens['generated'] - tokens['answer']} of them search)",
        f"{trace['engine_calls']} engine calls",
        f"{trace['seconds']:.2f} s after {trace['waited_seconds']:.2f} s of waiting",
    ]
    yield Text(short(" · ".join(told), 1000), style="dim")
    if trace["error"]:
        message = f": {trace['error']['message']}" if trace["error"]["message"] else ""
        yield Text(short(f"{trace['error']['code']}{message}", 1000), style="red")
    if trace["truncated"]:
        yield Text("This trace outgrew trace_search_bytes: only its beginning was kept.", style="yellow")


def _candidates(trace: Mapping[str, Any]) -> Table:
    """The best-rewarded candidates, winners first."""
    rows: list[list[Text]] = []
    every = trace["candidates"]
    ranked = sorted(every, key=lambda one: (one["winner"] is None, one["winner"] or 0, -(one["reward"] or 0.0)))
    for one in ranked[:MOST_CANDIDATES]:
        mark = "winner" if one["winner"] == 0 else "cut" if one["finished"] is False else ""
        cells = (
            f"{one['candidate']} {mark}",
            "–" if one["reward"] is None else f"{one['reward']:.2f}",
            "–" if one["visits"] is None else str(one["visits"]),
            short(one["answer"] or "–", 24),
            short(one["text"] or "", LONGEST),
        )
        style = "green" if one["winner"] is not None else ""
        rows.append([Text(cell.strip(), style=style) for cell in cells])
    if len(ranked) > MOST_CANDIDATES:
        rows.append([Text(f"{len(ranked) - MOST_CANDIDATES} more", style="dim")])
    return _table(("candidate", "reward", "visits", "answer", "text"), {"reward", "visits"}, rows)


def _time(created: float) -> str:
    """Local time, to the second."""
    try:
        return datetime.fromtimestamp(created).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "?"  # of a file that nobody of ours has written
