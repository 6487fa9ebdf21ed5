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
from server.dashboard.files import EXPLORER, WEB, explorer_script, read
from server.dashboard.page import LIBRARY, STYLES, inert_json, trace_page
from tests.mcts.toys import forest, garden
from tests.server.traces import recorded, trace_of

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><!--<script>"
    "\u2028\u2029&lt;b&gt; \"' \x00 </title></style> ]]> javascript:alert(1)"
)

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
        {},
        {"type": "module"},
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
    """No address but one in a comment, nothing that loads, no way to make markup of text."""
    text = trace_page(trace_of(recorded(garden(), "uct")[0]))
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text))
    assert addresses == {"https://d3js.org"}
    assert [attrs for _, attrs in Page(text).elements if attrs.keys() & {"src", "href"}] == [
        {"rel": "icon", "href": "data:,"}
    ]
    loaders = ("fetch(", "XMLHttpRequest", "WebSocket", "import ", "import(", "EventSource", "sendBeacon")
    assert [each for each in loaders if each in explorer_script()] == []


def test_scripts_can_stand_in_a_page() -> None:
    """Nothing in them ends their element, or changes how it is read."""
    for content in (read(LIBRARY), explorer_script(), *map(read, STYLES)):
        assert not any(mark in content.lower() for mark in ("</script", "<!--", "<script", "</style"))


def test_no_name_stands_in_two_modules() -> None:
    """Joined they share one scope, so a name that is declared twice would be one too many."""
    pattern = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|class) (\w+)", re.MULTILINE)
    names = [name for module in EXPLORER for name in pattern.findall(read(f"explorer/{module}.js"))]
    assert sorted(names) == sorted(set(names))
    assert len(names) > len(EXPLORER)
    assert not re.search(r"^(import|export) ", explorer_script(), re.MULTILINE)


@pytest.mark.skipif(node is None, reason="needs node")
def test_the_replay_comes_to_the_tree(tmp_path: Path) -> None:
    """The page's replay ends at the trace's visits and sums, going back and forth too, and begins with nothing."""
    where = forest()
    trace = trace_of(recorded(where, "uct", budget=Budget(simulations=20))[0], where)
    (tmp_path / "trace.json").write_text(json.dumps(trace))
    script = """
    import { readFileSync } from "node:fs";
    const { growthOf } = await import(process.argv[1]);
    const trace = JSON.parse(readFileSync(process.argv[2], "utf8"));
    const growth = growthOf(trace);
    const nodes = ({ born, visits, sums }) =>
      Array.from({ length: born }, (_, at) => [trace.tree[at].node, visits[at], sums[at]]);
    const plain = (state) => ({ ...state, nodes: nodes(state) });
    const told = [0, growth.length, 7, 3, growth.length].map((count) => plain(growth.at(count)));
    console.log(JSON.stringify({ told }));
    """
    arguments = [(WEB / "explorer" / "growth.js").as_uri(), str(tmp_path / "trace.json")]
    command = [str(node), "--input-type=module", "-e", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    nothing, end, seven, three, again = said["told"]
    assert (nothing["nodes"], nothing["candidates"]) == ([], 0)
    assert end == again
    assert end["nodes"] == [[each["node"], each["visits"], each["value_sum"]] for each in trace["tree"]]
    assert (end["candidates"], end["simulations"]) == (len(trace["candidates"]), trace["simulations"])
    assert (seven["count"], three["count"], len(three["nodes"])) == (7, 3, 1)  # started, the root, a call, …
