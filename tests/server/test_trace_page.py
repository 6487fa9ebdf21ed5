"""The page of one trace: it needs nothing else, draws what the trace tells, and no text in it is more than text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mcts.budget import Budget
from server.dashboard.page import FOLDER, SCRIPTS, inert_json, trace_page
from tests.mcts.toys import forest, garden
from tests.server.traces import recorded, trace_of

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><!--<script>"
    "\u2028\u2029&lt;b&gt; \"' \x00 </title></style> ]]> javascript:alert(1)"
)

chromium = shutil.which("chromium") or shutil.which("google-chrome")
node = shutil.which("node")


class Page(HTMLParser):
    """What a browser would make of a page: its elements and their text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Notes a text, with the element that began last."""
        self.texts.append((self.elements[-1][0] if self.elements else "", data))

    def contents(self, tag: str) -> list[str]:
        """The texts of the elements of a kind."""
        return [text for name, text in self.texts if name == tag and text.strip()]


def hostile_trace() -> dict[str, Any]:
    """A trace whose every string is hostile, keys of options included."""
    where = garden()
    trace = trace_of(recorded(where, "uct")[0], where)

    def poisoned(value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            return value if name in {"type", "state"} else HOSTILE
        if isinstance(value, list):
            return [poisoned(each, name) for each in value]
        return {key: poisoned(each, key) for key, each in value.items()} if isinstance(value, dict) else value

    hostile: dict[str, Any] = poisoned(trace)
    hostile["options"][HOSTILE] = HOSTILE
    for each in hostile["tree"]:
        each["token_texts"], each["confidences"] = [HOSTILE, HOSTILE], [0.2, 0.9]
    return hostile


def policy_of(page: Page) -> dict[str, str]:
    """The page's policy, by directive."""
    (content,) = [str(attrs["content"]) for _, attrs in page.elements if "http-equiv" in attrs]
    return dict(part.strip().split(" ", 1) for part in content.split(";"))


def test_no_text_becomes_markup() -> None:
    """Whatever texts hold, the page has its own elements and no others, and the trace comes out of it as it went in."""
    trace = hostile_trace()
    text = trace_page(trace)
    page, harmless = Page(text), Page(trace_page(trace_of(recorded(garden(), "uct")[0])))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in harmless.elements]
    assert [attrs for tag, attrs in page.elements if tag == "script"] == [
        {"type": "application/json", "id": "trace"},
        *({} for _ in range(len(SCRIPTS) + 1)),
    ]
    told, *scripts = page.contents("script")
    assert json.loads(told) == trace
    assert not set("<>&\u2028\u2029\x00") & set(told)
    assert told.isascii()
    assert scripts == harmless.contents("script")[1:]
    assert "owned" not in re.sub(r"<title>.*</title>", "", text.replace(told, ""))
    (title,) = page.contents("title")
    assert title.startswith("Search </script><script>document.title='owned'")


def test_texts_that_utf8_cannot_carry_do_not_stop_it() -> None:
    """Halves of surrogate pairs, of a file that somebody made up."""
    trace = hostile_trace() | {"id": "\ud800", "question": "\udfff"}
    page = trace_page(trace)
    page.encode()
    assert json.loads(Page(page).contents("script")[0])["question"] == "\udfff"
    assert inert_json("\ud800</script>") == '"\\ud800\\u003c/script\\u003e"'


def test_only_its_own_scripts_and_styles_may_run() -> None:
    """The policy names the digest of each, allows nothing else, and so no script that got in could run."""
    page = Page(trace_page(hostile_trace()))
    policy = policy_of(page)
    for tag in ("script", "style"):
        contents = page.contents(tag)[1 if tag == "script" else 0 :]
        digests = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in contents]
        assert policy[f"{tag}-src"] == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"


def test_it_asks_nobody_for_anything() -> None:
    """No address but two names in a comment and in code, nothing that loads, no way to make markup of text."""
    text = trace_page(trace_of(recorded(garden(), "uct")[0]))
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text))
    assert addresses == {"http://www.w3.org", "https://d3js.org"}
    assert [attrs for _, attrs in Page(text).elements if attrs.keys() & {"src", "href"}] == [
        {"rel": "icon", "href": "data:,"}
    ]
    ours = "".join((FOLDER / name).read_text() for name in SCRIPTS if "vendor" not in name)
    loaders = ("fetch(", "XMLHttpRequest", "WebSocket", "import(", "EventSource", "sendBeacon")
    makers = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "srcdoc")
    assert [each for each in (*loaders, *makers) if each in ours] == []


def test_scripts_can_stand_in_a_page() -> None:
    """Nothing in them ends their element, or changes how it is read."""
    for name in (*SCRIPTS, "trace-view.css"):
        content = (FOLDER / name).read_text(encoding="utf-8").lower()
        assert not any(mark in content for mark in ("</script", "<!--", "<script", "</style"))


def test_the_vendored_library_is_the_published_one() -> None:
    """Its hash and its licence's are those that its page tells, and the version too."""
    vendor = FOLDER / "vendor"
    told = (vendor / "README.md").read_text(encoding="utf-8")
    for name in ("d3-hierarchy.min.js", "d3-hierarchy.LICENSE"):
        assert f"| sha256 of `{name}` | `{hashlib.sha256((vendor / name).read_bytes()).hexdigest()}` |" in told
    (version,) = set(re.findall(r"d3-hierarchy@([\d.]+)", told))
    assert f"v{version} " in (vendor / "d3-hierarchy.min.js").read_text(encoding="utf-8")[:100]


@pytest.mark.skipif(node is None, reason="needs node")
def test_the_replay_comes_to_the_tree(tmp_path: Path) -> None:
    """The page's replay ends at the trace's visits and sums, going back and forth too, and begins with nothing."""
    where = forest()
    trace = trace_of(recorded(where, "uct", budget=Budget(simulations=20))[0], where)
    (tmp_path / "trace.json").write_text(json.dumps(trace))
    script = """
    const { readFileSync } = require("node:fs");
    (0, eval)(readFileSync(process.argv[1], "utf8"));
    const trace = JSON.parse(readFileSync(process.argv[2], "utf8"));
    const growth = EspalierTrace.growth(trace);
    const flat = ([node, now]) => [node, now.visits, now.valueSum];
    const plain = (state) => ({ ...state, nodes: [...state.nodes].map(flat) });
    const told = [0, growth.length, 7, 3, growth.length].map((count) => plain(growth.at(count)));
    const shown = [1, 10, Infinity].map((most) => EspalierTrace.shown(trace, most).map((each) => each.node));
    console.log(JSON.stringify({ told, shown }));
    """
    command = [str(node), "-e", script, str(FOLDER / "growth.js"), str(tmp_path / "trace.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    nothing, end, seven, three, again = said["told"]
    assert (nothing["nodes"], nothing["candidates"]) == ([], 0)
    assert end == again
    assert end["nodes"] == [[each["node"], each["visits"], each["value_sum"]] for each in trace["tree"]]
    assert (end["candidates"], end["simulations"]) == (len(trace["candidates"]), trace["simulations"])
    assert (seven["count"], three["count"], len(three["nodes"])) == (7, 3, 1)  # started, the root, a call, …
    winning = {each["node"] for each in trace["tree"] if each["winning"]}
    parents = {each["node"]: each["parent"] for each in trace["tree"]}
    for shown in said["shown"]:
        assert winning <= set(shown)
        assert all(parents[each] is None or parents[each] in shown for each in shown)
    assert [len(shown) for shown in said["shown"]] == [
        len(winning | {0}),
        len(said["shown"][1]),
        len(trace["tree"]),
    ]
    assert len(said["shown"][1]) <= 10 + len(winning)


@pytest.mark.skipif(chromium is None, reason="needs chromium")
def test_a_browser_draws_it_and_runs_no_text(tmp_path: Path) -> None:
    """Every node is an item of the tree that a screen reader can name; hostile texts stand there and do nothing."""
    trace = hostile_trace()
    file = tmp_path / "page.html"
    file.write_text(trace_page(trace), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    flags += ["--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom"]
    command = [str(chromium), *flags, file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    drawn = Page(done.stdout)
    assert "CONSOLE" not in done.stderr, done.stderr
    (title,) = drawn.contents("title")
    assert title.startswith("Search </script>")
    items = [attrs for _, attrs in drawn.elements if attrs.get("role") == "treeitem"]
    assert len(items) == len(trace["tree"])
    assert all(str(attrs["aria-label"]).count("visits") == 1 for attrs in items)
    assert [attrs["tabindex"] for attrs in items].count("0") == 1
    assert not any(tag == "img" for tag, _ in drawn.elements)
    winners = [each for each in trace["tree"] if each["winning"]]
    assert sum("winning" in str(attrs.get("class")).split() for attrs in items) == len(winners) > 1
