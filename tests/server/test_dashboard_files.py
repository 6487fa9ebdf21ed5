"""The files of the dashboard: whole, small, from whom they say, and with no way to make markup of others' words."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from server.dashboard.files import WEB, read, served
from server.dashboard.numbers import SAMPLES
from server.metrics import Metrics

OWN = sorted(file for file in WEB.rglob("*.js") if "vendor" not in file.parts)
VENDORED = [WEB / "vendor", Path(__file__).parents[1] / "browser" / "vendor"]

node = shutil.which("node")


@pytest.mark.parametrize("folder", VENDORED, ids=lambda folder: folder.parts[-3])
def test_vendored_files_are_the_published_ones(folder: Path) -> None:
    """The note beside them tells the hash of each, and a licence stands beside each library."""
    told = (folder / "README.md").read_text(encoding="utf-8")
    files = [file for file in folder.iterdir() if file.name != "README.md"]
    assert any(file.suffix == ".LICENSE" for file in files)
    for file in files:
        assert f"| `{file.name}` | `{hashlib.sha256(file.read_bytes()).hexdigest()}` |" in told


def test_everything_that_the_page_loads_is_served() -> None:
    """Each script, style and picture of the page, and each module that a module imports; nothing from elsewhere."""
    page = read("index.html")
    loaded = set(re.findall(r'(?:src|href)="([^"#]+)"', page))
    assert loaded
    assert all(name.startswith("dashboard/") for name in loaded)
    assert {name.removeprefix("dashboard/") for name in loaded} <= set(served())
    for module in OWN:
        for target in re.findall(r'from "([^"]+)"', module.read_text(encoding="utf-8")):
            assert (module.parent / target).resolve().relative_to(WEB).as_posix() in served()


def test_licences_and_notes_are_not_served() -> None:
    """Only what a browser runs or shows."""
    assert not [name for name in served() if name.endswith((".md", ".LICENSE"))]


@pytest.mark.parametrize("module", OWN, ids=lambda module: module.name)
def test_modules_are_small_and_make_no_markup(module: Path) -> None:
    """300 lines at most; no code is made of text, and no element is."""
    content = module.read_text(encoding="utf-8")
    makers = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "srcdoc",
        "cssText",
    )
    assert [maker for maker in makers if maker in content] == []
    assert len(content.splitlines()) <= 300
    assert content.startswith("// ")


def test_the_numbers_exist() -> None:
    """Each sample that the page reads is one of a metric of ours."""
    registry = CollectorRegistry()
    Metrics(registry)
    known = {name for names in registry._collector_to_names.values() for name in names}
    assert set(SAMPLES) <= known


def test_the_page_reads_just_these_numbers() -> None:
    """What its modules name is told, and nothing else is."""
    named = {name for module in OWN for name in re.findall(r'"(mcts_\w+)"', module.read_text(encoding="utf-8"))}
    assert named == set(SAMPLES)


def measured(script: str) -> Any:
    """What a script prints that has the functions of measures.js."""
    head = f'const m = await import("{(WEB / "measures.js").as_uri()}");'
    command = [str(node), "--input-type=module", "-e", f"{head} console.log(JSON.stringify({script}));"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


HALVES = """[
  { time: 100, samples: {
    n: [[{ a: "x" }, 4], [{ a: "y" }, 1]],
    h: [[{ le: "1.0" }, 2], [{ le: "2.0" }, 4], [{ le: "+Inf" }, 4]] } },
  { time: 110, samples: {
    n: [[{ a: "x" }, 24], [{ a: "y" }, 1]],
    h: [[{ le: "1.0" }, 4], [{ le: "2.0" }, 10], [{ le: "+Inf" }, 12]] } },
]"""


@pytest.mark.skipif(node is None, reason="needs node")
def test_rates_are_those_of_prometheus() -> None:
    """(24 + 1 - 5) / 10 s; of one label 20 / 10 s; a counter that fell has begun anew: 5; what is missing is 0."""
    told = "m.rate(b, a, 'n'), m.rate(b, a, 'n', { a: 'x' }), m.increase(a, b, 'n'), m.rate(b, a, 'q')"
    assert measured(f"(([a, b]) => [{told}])({HALVES})") == [2, 2, 5, 0]


@pytest.mark.skipif(node is None, reason="needs node")
def test_percentiles_are_those_of_prometheus() -> None:
    """Between the readings 2 were up to 1, 4 in (1, 2], 2 above: the median is at 4 of 8, half way through (1, 2]."""
    assert measured(f"(([a, b]) => m.buckets(b, a, 'h').map((each) => each.count))({HALVES})") == [2, 4, 2]
    assert measured(f"(([a, b]) => [0.5, 0.25, 0.99].map((q) => m.quantile(q, m.buckets(b, a, 'h'))))({HALVES})") == [
        1.5,
        1,
        2,  # in the last bucket, which has no end: its beginning
    ]
    assert measured("[m.quantile(0.5, []), m.quantile(0.5, [{ upTo: 1, count: 0 }])]") == [None, None]
