"""The process: start-up mistakes, signals and exit codes."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.process import ESPALIER, Process, espalier, running
from tests.server.service import CHATS

SLOW = (sys.executable, str(Path(__file__).with_name("slow_server.py")))
CHAT = {"messages": [{"role": "user", "content": "1 2"}], "model": "abacus:direct"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["serve", "--port", "99999"], "port (from a flag): input should be less than or equal to 65535"),
        (["serve", "--port", "http"], "port (from a flag): input should be a valid integer"),
        (["serve", "--model", "/no/such/model"], "/no/such/model"),
        (["serve", "--model", "tests"], "config.json"),
        (["serve", "--config", "/no/such/file.yaml"], "/no/such/file.yaml"),
        (["serve", "--engine", "scripted", "--host", "nowhere.invalid"], "nowhere.invalid"),
        (["ask", "hi", "--url", "nonsense"], "nonsense"),
    ],
)
def test_a_mistake_at_the_start_is_one_line_and_exit_code_2(arguments: list[str], told: str) -> None:
    """No traceback: one line on standard error."""
    done = espalier(*arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_a_busy_port_is_told_before_a_model_is_loaded() -> None:
    """The line names the port and the way out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = espalier("serve", "--engine", "scripted", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "--port" in done.stderr


def test_a_model_that_does_not_load_is_one_line_and_exit_code_1() -> None:
    """What is found only while loading ends the process with its reason."""
    done = espalier("serve", "--engine", "scripted", "--port", "0", "--default-preset", "nope")
    assert done.returncode == 1
    assert "default_preset 'nope'" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_grouped_and_complete() -> None:
    """Every setting is in the help, under its heading."""
    done = espalier("serve", "--help")
    assert done.returncode == 0
    for heading in ("server:", "access:", "model:", "engine:", "search defaults:", "limits on one request:", "load:"):
        assert f"\n{heading}\n" in done.stdout
    assert "--max-searches N" in done.stdout


def test_the_scripted_server_says_when_it_is_ready_and_stops_on_sigterm() -> None:
    """Start-up prints the address and a curl line; SIGTERM ends with exit code 0."""
    with running([*ESPALIER, "serve", "--engine", "scripted", "--port", "0"]) as process:
        assert "curl" in process.wait_for(r"curl .*", 5).group()
        assert httpx.get(f"{process.url}/health/ready").status_code == 200
        process.signal(signal.SIGTERM)
        assert process.exit_code() == 0
        assert "Traceback" not in process.text


def post(process: Process, into: list[httpx.Response], **fields: Any) -> threading.Thread:
    """Posts a chat from a thread."""
    thread = threading.Thread(
        target=lambda: into.append(httpx.post(process.url + CHATS, json=CHAT | fields, timeout=30))
    )
    thread.start()
    while running_searches(process) == 0:
        time.sleep(0.02)
    return thread


def running_searches(process: Process) -> int:
    """How many searches run now."""
    return int(httpx.get(f"{process.url}/health").json()["searches_running"])


@pytest.mark.parametrize("stream", [False, True])
def test_sigterm_lets_searches_finish(stream: bool) -> None:
    """Readiness turns 503 at once, new chats are refused, the running one gets its answer, the exit code is 0."""
    replies: list[httpx.Response] = []
    with running([*SLOW, "1.5"]) as process:
        asked = post(process, replies, stream=stream)
        process.signal(signal.SIGTERM)
        time.sleep(0.1)
        assert httpx.get(f"{process.url}/health/ready").status_code == 503
        assert httpx.get(f"{process.url}/health/live").status_code == 200
        assert httpx.post(process.url + CHATS, json=CHAT).status_code == 503
        asked.join(20)
        assert process.exit_code() == 0
    assert replies[0].status_code == 200
    assert '"finish_reason":"stop"' in replies[0].text


@pytest.mark.parametrize("stream", [False, True])
def test_the_drain_ends_in_time(stream: bool) -> None:
    """A search longer than the drain gets a clear error, and the exit code is 0."""
    replies: list[httpx.Response] = []
    with running([*SLOW, "60", "drain_seconds=0.5"]) as process:
        asked = post(process, replies, stream=stream)
        process.signal(signal.SIGTERM)
        asked.join(20)
        assert process.exit_code(10) == 0
    if stream:
        assert replies[0].text.endswith("data: [DONE]\n\n")
        assert '"code":"not_ready"' in replies[0].text
    else:
        assert replies[0].status_code == 503
        assert replies[0].json()["error"]["message"] == "The server is stopping."


@pytest.mark.parametrize("stream", [False, True])
def test_at_the_end_of_the_drain_searches_give_what_they_have(stream: bool) -> None:
    """A search that has answers and would go on for long gives the best of them, and the exit code is 0."""
    replies: list[httpx.Response] = []
    search = {"strategy": "majority", "samples": 200, "width": 1, "adaptive": False}
    with running([*SLOW, "0.05", "drain_seconds=0.7"]) as process:
        asked = post(process, replies, stream=stream, model="abacus", search=search)
        process.signal(signal.SIGTERM)
        began = time.monotonic()
        asked.join(20)
        assert process.exit_code(10) == 0
        assert time.monotonic() - began < 5
    assert replies[0].status_code == 200
    assert '"stop_reason":"deadline"' in replies[0].text


def test_an_engine_that_is_lost_ends_the_process_with_its_reason() -> None:
    """With ``on_engine_death: exit`` the exit code is 1 and the line says why."""
    with running([*SLOW, "0.05", "on_engine_death=exit", "dies_after=1"]) as process:
        assert httpx.post(process.url + CHATS, json=CHAT, timeout=30).status_code == 200
        assert process.exit_code(10) == 1
        assert "an engine died (on_engine_death is exit)" in process.text


def test_a_second_signal_ends_now() -> None:
    """Nobody has to wait for a drain."""
    replies: list[Any] = []
    with running([*SLOW, "60"]) as process:
        thread = threading.Thread(target=lambda: _swallow(process, replies))
        thread.start()
        while running_searches(process) == 0:
            time.sleep(0.02)
        process.signal(signal.SIGTERM)
        time.sleep(0.3)
        began = time.monotonic()
        process.signal(signal.SIGTERM)
        assert process.exit_code(5) == 1
        assert time.monotonic() - began < 1
        thread.join(5)


def _swallow(process: Process, into: list[Any]) -> None:
    try:
        into.append(httpx.post(process.url + CHATS, json=CHAT, timeout=30))
    except httpx.TransportError as error:
        into.append(error)


def test_each_search_is_one_log_line_without_a_word_of_it() -> None:
    """The line has ids, strategy, stop reason, tokens and seconds; never what was asked."""
    with running([*SLOW, "0.01"]) as process:
        body = {**CHAT, "messages": [{"role": "user", "content": "xyzzy\nforged"}]}
        httpx.post(process.url + CHATS, json=body, headers={"X-Request-Id": "r-1"})
        process.signal(signal.SIGTERM)
        assert process.exit_code() == 0
        lines = [json.loads(line) for line in process.lines if line.startswith("{")]
    ended = [line for line in lines if line["message"] == "search ended"]
    assert len(ended) == 1
    assert ended[0]["request_id"] == "chatcmpl-r-1"
    assert ended[0]["strategy"] == "direct"
    assert ended[0]["stop_reason"] == "simulations"
    assert "xyzzy" not in process.text
