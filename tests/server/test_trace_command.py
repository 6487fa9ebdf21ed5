"""``espalier trace``: lists, shows and exports, from a server and from its files, whatever the texts hold."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from server.cli import main
from server.cli.ask import _print_end
from server.cli.plain import plain, short
from server.cli.trace_view import print_list, print_trace
from server.cli.tree import GrowingTree
from server.dashboard.page import inert_json
from tests.mcts.toys import garden
from tests.server.process import ESPALIER, Process, running
from tests.server.traces import recorded, trace_of

HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\nvotes   42: 9.99\u2028\u202eevil\x9b31m\x00[bold]tags[/bold]"
"""Clears the screen, names the window, begins a line of ours, turns the direction of writing."""


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int | str | None
    stdout: str
    stderr: str


def command(*arguments: str) -> Done:
    """Runs a command of ours in this process, which saves its start."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(arguments)
    return Done(ended.value.code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server writes its traces."""
    return tmp_path_factory.mktemp("traces")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Process]:
    """A scripted server that has answered two questions."""
    with running([*ESPALIER, "serve", "--engine", "scripted", "--port", "0", "--trace-folder", str(folder)]) as process:
        for arguments in (["--simulations", "3"], ["--strategy", "best_of_n", "--samples", "2"]):
            done = command("ask", "What is 17 + 25?", "--url", process.url, "--seed", "1", *arguments)
            assert done.returncode == 0, done.stderr
        yield process


def listed(server: Process, *arguments: str) -> list[dict[str, Any]]:
    """The list as JSON."""
    done = command("trace", "list", "--json", "--url", server.url, *arguments)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["data"])


def test_list_and_show_tell_what_the_server_did(server: Process) -> None:
    """A line a search; the tree as ``ask`` draws it, the candidates, the vote and the answer."""
    table = command("trace", "list", "--url", server.url)
    assert table.returncode == 0, table.stderr
    head, sampled, grown = table.stdout.strip().splitlines()
    assert head.split()[:3] == ["search", "began", "strategy"]
    assert "best_of_n" in sampled
    assert "uct" in grown
    assert "What is 17 + 25?" in grown
    shown = command("trace", "show", grown.split()[0], "--url", server.url)
    assert shown.returncode == 0, shown.stderr
    assert f"{grown.split()[0]}  finished, ended by simulations" in shown.stdout
    assert "└── " in shown.stdout
    assert "You asked: What is 17 + 25?" in shown.stdout
    assert "votes   42: " in shown.stdout
    assert "answer  42" in shown.stdout
    last = command("trace", "show", "last", "--url", server.url)
    assert last.stdout.startswith(sampled.split()[0])
    assert "\x1b" not in table.stdout + shown.stdout


def test_filters_reach_the_server_and_refusals_the_reader(server: Process) -> None:
    """What the server refuses is one line that names the parameter."""
    assert [each["strategy"] for each in listed(server, "--strategy", "uct")] == ["uct"]
    assert len(listed(server, "--limit", "1")) == 1
    for arguments in (["list", "--limit", "0"], ["show", "none"], ["list", "--state", "asleep"]):
        done = command("trace", *arguments, "--url", server.url)
        assert done.returncode == 1, arguments
        assert len(done.stderr.strip().splitlines()) == 1
        assert done.stdout == ""
    assert "none" in command("trace", "show", "none", "--url", server.url).stderr


def test_export_writes_a_file_once(server: Process, tmp_path: Path) -> None:
    """JSON as the API tells it; a file that is there stays, unless it is to be written over."""
    file, search = tmp_path / "t.json", listed(server)[0]["id"]
    arguments = ["trace", "export", search, "--url", server.url, "--output"]
    done = command(*arguments, str(file))
    assert (done.returncode, done.stdout) == (0, f"{file}\n"), done.stderr
    assert json.loads(file.read_text(encoding="utf-8"))["id"] == search
    file.write_text("mine")
    refused = command(*arguments, str(file))
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert file.read_text() == "mine"
    assert command(*arguments, str(file), "--force").returncode == 0
    assert json.loads(file.read_text(encoding="utf-8"))["id"] == search
    nowhere = command(*arguments, str(tmp_path / "no" / "t.json"))
    assert (nowhere.returncode, len(nowhere.stderr.strip().splitlines())) == (2, 1)
    assert json.loads(command(*arguments, "-").stdout)["id"] == search


def test_export_writes_a_page(server: Process, tmp_path: Path) -> None:
    """By the file's ending or as asked for; its trace is the API's."""
    trace = json.loads(command("trace", "show", "last", "--json", "--url", server.url).stdout)
    for arguments in (["--output", str(tmp_path / "t.HTML")], ["--format", "html", "--output", "-"]):
        done = command("trace", "export", "last", "--url", server.url, *arguments)
        assert done.returncode == 0, done.stderr
        page = (tmp_path / "t.HTML").read_text(encoding="utf-8") if arguments[-1] != "-" else done.stdout
        assert page.startswith("<!doctype html>")
        assert inert_json(trace) in page


def test_files_of_a_server_can_be_read_without_it(server: Process, folder: Path, tmp_path: Path) -> None:
    """The same lists and traces; lines that a full disk cut are passed over; what is not there is told."""
    (file,) = folder.iterdir()
    (tmp_path / file.name).write_bytes(file.read_bytes() + b'{"id": "search-cut", "tree": [')
    given = ["--folder", str(tmp_path)]
    assert listed(server, *given) == listed(server)
    for each in listed(server):
        shown = command("trace", "show", each["id"], "--json", *given)
        fetched = command("trace", "show", each["id"], "--json", "--url", server.url)
        assert json.loads(shown.stdout) == json.loads(fetched.stdout)
    assert command("trace", "show", "search-cut", *given).returncode == 1
    assert command("trace", "list", "--folder", str(tmp_path / "no")).returncode == 2
    wrong = command("trace", "list", "--limit", "0", *given)
    assert (wrong.returncode, "--limit" in wrong.stderr) == (2, True)


def test_what_is_no_trace_is_refused(tmp_path: Path) -> None:
    """A file that somebody made up does not reach the screen."""
    line = json.dumps({"id": "x", "tree": HOSTILE})
    (tmp_path / "searches-20260101T000000Z-0000.jsonl").write_text(line + "\n")
    done = command("trace", "show", "x", "--folder", str(tmp_path))
    assert done.returncode == 1
    assert "no trace" in done.stderr
    assert "\x1b" not in done.stderr


def test_without_a_server_it_says_how_to_start_one() -> None:
    """No traceback when nothing listens."""
    done = command("trace", "list", "--url", "http://127.0.0.1:9")
    assert (done.returncode, "espalier serve" in done.stderr) == (3, True)
    assert command("trace", "list", "--url", "nowhere").returncode == 2


def printed(print_it: Any, *arguments: Any, terminal: bool = True) -> str:
    """What reaches a terminal, without the colours that we ourselves put there."""
    console = Console(
        file=io.StringIO(), width=400, force_terminal=terminal, color_system=None, highlight=False, legacy_windows=False
    )
    print_it(*arguments, console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def hostile_trace() -> dict[str, Any]:
    """A trace whose every text is hostile."""
    where = garden()
    trace = trace_of(recorded(where, "uct")[0], where)
    trace |= {"question": HOSTILE, "answer": HOSTILE, "id": HOSTILE, "model": HOSTILE, "state": HOSTILE}
    trace["error"] = {"code": HOSTILE, "message": HOSTILE}
    for each in (*trace["tree"], *trace["candidates"]):
        each["text"] = HOSTILE
    for each in (*trace["candidates"], *trace["votes"]):
        each["answer"] = HOSTILE
    return trace


def test_no_text_steers_the_terminal_or_forges_a_line() -> None:
    """Escape sequences, line breaks and marks of direction in any text are shown, not obeyed; tags are text."""
    trace = hostile_trace()
    page = {"data": [trace], "has_more": True}
    tree = GrowingTree(HOSTILE)
    tree.read(
        {"type": "node_added", "node": 0, "parent": None, "text": "", "terminal": False, "visits": 1, "value": 1.0}
    )
    tree.read({"type": "simulation_done", "done": 1, "best_answer": HOSTILE})
    usage = {"completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 0}}
    search = {
        "votes": trace["votes"],
        "vote": "weighted",
        "strategy": "uct",
        "reward": "",
        "simulations": 1,
        "seconds": 1,
    }
    reply = {"text": HOSTILE, "search": search | {"stop_reason": "x"}, "usage": usage}
    for text in (
        printed(lambda console: print_trace(trace, console)),
        printed(lambda console: print_list(page, console)),
        printed(lambda console: console.print(tree.headline(), tree.draw())),
    ):
        assert all(each.isprintable() or each == "\n" for each in text), ascii(text)
        assert not any(line.startswith("votes   42: 9.99") for line in text.splitlines())
        assert "\\x1b[2J" in text
        assert "[bold]tags[/bold]" in text or "…" in text
    answer = printed(_print_end, reply)
    assert all(each.isprintable() or each == "\n" for each in answer), ascii(answer)


def test_plain_text_stays_as_it_is() -> None:
    """Every script, emoji of one character, formulas with backslashes; line breaks where they may stay."""
    for text in ("x² + √2 = π", "三加四", "🌳", r"\boxed{42}", "naïve"):
        assert plain(text) == text
    assert plain("a\nb\tc", lines=True) == "a\nb\tc"
    assert plain("a\nb\r") == "a\\nb\\r"
    assert plain("a\rb", lines=True) == "a\\rb"
    assert short("a  b\n c", 10) == "a b c"
    assert short("abcdef", 4) == "abc…"
