"""The benchmark of a fleet: what counts as failed, and requests told by events. ``make test-long`` runs all of it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from benchmarks.fleet.load import ANSWERED, Asked, Load, broken_off, outcome
from benchmarks.fleet.network import SYSTEM_PATH, missing
from benchmarks.fleet.report import plot, table, windows
from tests.server.process import ROOT

ENDED = {"search": {"stop_reason": "simulations"}}
CUT_SHORT = {"search": {"stop_reason": "failed"}}
REFUSED = {"error": {"code": "overloaded"}}


def _load() -> Load:
    """Nineteen requests of a second, one of four that meets an event at 20 s; then of two, but of five at 25 s."""
    load = Load()
    load.asked = [*(Asked(float(at), 1.0, ANSWERED) for at in range(19)), Asked(18.0, 4.0, ANSWERED)]
    load.marks = [(20.0, "an engine dies")]
    load.asked += [Asked(float(at), 5.0 if at == 25 else 2.0, ANSWERED) for at in range(21, 31)]
    load.asked.append(Asked(31.0, 0.5, "503 engine_failed"))
    return load


def test_requests_belong_to_the_event_that_they_met() -> None:
    """Counts, percentiles and the last late one: slower than twice the usual 95th percentile, 2 s."""
    before, after = windows(_load())
    assert (len(before.asked), before.late, before.seconds(0.5), before.seconds(0.95)) == (19, 0.0, 1.0, 1.0)
    assert (len(after.asked), after.late) == (12, 10.0)  # 25 + 5 - 20
    assert (after.seconds(0.5), after.seconds(0.95), after.seconds(1.0)) == (2.0, 5.0, 5.0)
    assert "| an engine dies | 20 | 12 | 1 | 2.00 | 5.00 | 5.00 | 10 |" in table(_load())


def test_a_window_without_requests_has_no_percentiles() -> None:
    """Two events at once."""
    load = _load()
    load.marks.append((20.0, "another"))
    assert math.isnan(windows(load)[1].seconds(0.5))


def test_it_is_drawn(tmp_path: Path) -> None:
    """A panel for each load."""
    plot({"faults": _load(), "rolling": _load()}, tmp_path / "fleet.png")
    assert (tmp_path / "fleet.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, ENDED, ANSWERED),
        (200, CUT_SHORT, "answer cut short: failed"),
        (200, {"search": {"stop_reason": "deadline"}}, "answer cut short: deadline"),
        (503, REFUSED, "503 overloaded"),
        (502, None, "502 without JSON"),
    ],
)
def test_a_plain_reply_counts_only_whole(status: int, body: object, told: str) -> None:
    """An answer that engines' failures cut short is a failure here."""
    text = "<html>Bad Gateway</html>" if body is None else json.dumps(body)
    assert outcome(httpx.Response(status, text=text), streamed=False) == told


@pytest.mark.parametrize(
    ("chunks", "told"),
    [
        ([{}, ENDED, "[DONE]"], ANSWERED),
        ([{}, CUT_SHORT, "[DONE]"], "answer cut short: failed"),
        ([{}, {"search": {"stop_reason": "deadline"}}, "[DONE]"], "answer cut short: deadline"),
        ([{"choices": ["a\u2028b"]}, ENDED, "[DONE]"], ANSWERED),
        ([{}, REFUSED, "[DONE]"], "stream: overloaded"),
        ([{}, ENDED], "broken: cut stream"),
        ([{}, "[DONE]"], "stream without an end"),
        ([], "broken: cut stream"),
    ],
)
def test_a_stream_counts_only_whole(chunks: list[object], told: str) -> None:
    """To its last word, with the search's own end in it."""
    lines = [
        f"data: {chunk if isinstance(chunk, str) else json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks
    ]
    assert outcome(httpx.Response(200, text="".join(lines)), streamed=True) == told


@pytest.mark.parametrize(
    ("tries", "broken"),
    [
        ("", False),
        ("200; 0.001", False),
        ("502, 200; -, 0.001", False),  # nobody was there
        ("503, 200; 0.000, 0.001", False),  # refused
        ("502, 200; 0.000, 0.001", True),
        ("502; 0.000", True),
    ],
)
def test_what_the_balancer_had_to_repeat_is_told_apart(tries: str, broken: bool) -> None:
    """A gateway that was not there or refused has begun nothing; one that broke off has."""
    assert bool(broken_off(tries)) is broken


@pytest.mark.long
@pytest.mark.vllm
@pytest.mark.timeout(3600)
def test_a_fleet_loses_no_request() -> None:
    """Engines killed and cut off, a gateway restarted, everything replaced, under load: the benchmark, as it is."""
    if reason := missing():
        pytest.skip(reason)
    command = [sys.executable, "-m", "benchmarks.fleet", "--quiet", "30"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": SYSTEM_PATH}, check=False)
    assert done.returncode == 0
