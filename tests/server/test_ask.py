"""``espalier ask`` against a running server, with and without a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from server.cli.tree import MOST_LINES, GrowingTree
from tests.server.process import ESPALIER, Process, espalier, running


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    """A scripted server."""
    with running([*ESPALIER, "serve", "--engine", "scripted", "--port", "0"]) as process:
        yield process


def test_ask_prints_progress_answer_votes_and_cost(server: Process) -> None:
    """Without a terminal: plain lines, no control characters."""
    done = espalier("ask", "What is 17 + 25?", "--url", server.url, "--simulations", "6", "--seed", "1")
    assert done.returncode == 0, done.stderr
    assert "simulation" in done.stdout
    assert "You asked: What is 17 + 25?" in done.stdout
    assert "votes   42" in done.stdout
    assert "search  uct by prm · " in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "abacus:direct"], "search  direct · "),
        (["--strategy", "best_of_n", "--samples", "4", "--reward", "entropy"], "search  best_of_n by entropy · 4 done"),
        (["--strategy", "marco-o1", "--simulations", "2"], "search  marco-o1 by confidence"),
        (
            ["--seconds", "5", "--width", "2", "--branch", "2", "--temperature", "1", "--max-tokens", "200"],
            "search  uct",
        ),
    ],
)
def test_ask_passes_its_options_on(server: Process, arguments: list[str], told: str) -> None:
    """Each option reaches the search."""
    done = espalier("ask", "1 and 2", "--url", server.url, *arguments)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout


def test_ask_tells_what_the_server_refuses(server: Process) -> None:
    """A refusal is the server's own message, on one line."""
    done = espalier("ask", "1", "--url", server.url, "--strategy", "magic")
    assert done.returncode == 1
    assert "magic" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_ask_without_a_server_says_how_to_start_one() -> None:
    """No traceback when nothing listens."""
    done = espalier("ask", "1", "--url", "http://127.0.0.1:9")
    assert done.returncode == 3
    assert "espalier serve" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def node(number: int, parent: int | None, text: str = "step", **more: Any) -> dict[str, Any]:
    """A node's event."""
    given = {"node": number, "parent": parent, "text": text, "terminal": False, "visits": 0, "value": 0.0}
    return {"type": "node_added", **given, **more}


def drawn(tree: GrowingTree) -> str:
    """The tree as text."""
    console = Console(file=StringIO(), width=100)
    console.print(tree.headline(), tree.draw())
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_visits_and_values_add_up_along_the_path() -> None:
    """A visit counts for the node and everything above it; values are means."""
    tree = GrowingTree("q")
    for event in (node(0, None), node(1, 0, "left"), node(2, 1, "below", terminal=True), node(3, 0, "right")):
        tree.read(event)
    tree.read({"type": "backed_up", "node": 2, "visits": 1, "value": 1.0})
    tree.read({"type": "backed_up", "node": 1, "visits": 1, "value": 0.5})
    text = drawn(tree)
    assert "2× 0.75 left" in text
    assert "1× 1.00 below ■" in text
    assert "0× – right" in text


def test_a_large_tree_is_cut_to_its_most_visited_nodes() -> None:
    """The terminal shows a bounded number of lines and says how many are hidden; the winning path is always there."""
    tree = GrowingTree("q")
    tree.read(node(0, None))
    for number in range(1, 200):
        tree.read(node(number, 0, f"step {number}", visits=200 - number))
    tree.read({"type": "search_finished", "node": 150})
    text = drawn(tree)
    assert len(text.splitlines()) <= MOST_LINES + 4
    assert "more" in text
    assert "step 150" in text


def test_ask_saves_a_picture(server: Process, tmp_path: Path) -> None:
    """--picture writes an SVG of the tree, the answer and the votes."""
    picture = tmp_path / "tree.svg"
    done = espalier("ask", "What is 17 + 25?", "--url", server.url, "--simulations", "4", "--picture", str(picture))
    assert done.returncode == 0, done.stderr
    drawn = picture.read_text(encoding="utf-8").replace("&#160;", " ")
    assert drawn.startswith("<svg")
    assert "The answer is" in drawn
    assert "votes" in drawn


def test_ask_says_when_the_picture_cannot_be_written(server: Process, tmp_path: Path) -> None:
    """A folder that is not there: one line, no traceback."""
    done = espalier("ask", "1", "--url", server.url, "--simulations", "1", "--picture", str(tmp_path / "no" / "a.svg"))
    assert done.returncode == 2
    assert "--picture" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
