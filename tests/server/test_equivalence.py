"""Answers compared by algebra over HTTP, and the life of the process that does it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from engine.scripted import ScriptedEngine
from engine.scripted_language import script_from
from mcts.errors import StartupError
from reward.answers import StandardAnswers
from reward.verifier import Verifier
from server.rewards import check_rewards, make_answers
from tests.mcts.dictated import DictatedEngine
from tests.server.process import ESPALIER, running
from tests.server.service import backend, serving, settings

WAYS = (r"\boxed{x+7}", r"\boxed{(x+1)^2}", r"\boxed{x^2+2x+1}", r"\boxed{x(x+2)+1}", r"\boxed{7+x}", r"\boxed{3}")
"""Six texts, three answers: (x+1)² three ways, x+7 two ways, 3."""


def patient() -> Verifier:
    """A verifier that waits for as long as a busy machine takes."""
    return Verifier(seconds=5.0, patience=60.0)


async def ready(verifier: Verifier) -> int:
    """The process id of its worker, once that has begun to answer."""
    assert verifier._worker is not None
    worker = await verifier._worker
    assert worker is not None
    return worker.pid


async def test_the_n_best_answers_are_distinct_by_algebra() -> None:
    """Choices and votes go by answers, not by how they are written; the first way to write one stands for it."""
    engine = DictatedEngine({"": WAYS})
    verifier = patient()
    made = backend(engine, answers=StandardAnswers(verifier=verifier))
    search = {"strategy": "majority", "samples": 6, "width": 1, "adaptive": False}
    async with serving(engine, made=made) as service:
        worker = await ready(verifier)  # the runtime had it started
        reply = await service.answer(n=3, search=search)
        fewer = await service.answer(n=2, search=search)
    contents = [choice["message"]["content"] for choice in reply["choices"]]
    assert contents == [r"\boxed{(x+1)^2}", r"\boxed{x+7}", r"\boxed{3}"]
    votes = [(vote["answer"], vote["count"]) for vote in reply["search"]["votes"]]
    assert votes == [("(x+1)^2", 3), ("x+7", 2), ("3", 1)]
    assert [choice["message"]["content"] for choice in fewer["choices"]] == contents[:2]
    with pytest.raises(ProcessLookupError):  # closed with the server
        os.kill(worker, 0)


async def test_a_vote_is_decided_by_answers_that_are_the_same_by_algebra() -> None:
    """Of nine samples the fifth way to write the leader ends the search: it is compared before it counts."""
    ways = ["x+1", "1+x", "2x-x+1", r"\frac{2x+2}{2}", "x+2-1", "x+3", "x+4", "x+5", "x+6"]
    engine = DictatedEngine({"": [rf"\boxed{{{way}}}" for way in ways]})
    verifier = patient()
    made = backend(engine, answers=StandardAnswers(verifier=verifier))
    async with serving(engine, made=made) as service:
        await ready(verifier)
        reply = await service.answer(search={"strategy": "majority", "samples": 9, "width": 1})
    told = reply["search"]
    assert (told["stop_reason"], told["simulations"], told["votes"][0]["count"]) == ("decided", 5, 5)


async def test_a_worker_that_hangs_holds_up_no_other_request(tmp_path: Path) -> None:
    """While one search waits for its comparison others are answered; it ends with its answers apart."""
    program = tmp_path / "worker.py"
    program.write_text("import time\nprint('{\"ready\": true}', flush=True)\ntime.sleep(600)\n", encoding="utf-8")
    verifier = Verifier(patience=1.0, program=program)
    engine = DictatedEngine({"": (r"\boxed{x+7}", r"\boxed{7+x}")})
    made = backend(engine, answers=StandardAnswers(verifier=verifier))
    async with serving(engine, made=made) as service:
        await ready(verifier)
        search = {"strategy": "majority", "samples": 2, "adaptive": False, "width": 1}
        slow = asyncio.create_task(service.answer(search=search))
        while not verifier._deciding:
            await asyncio.sleep(0.001)
        assert (await service.client.get("/health")).status_code == 200
        plain = await service.answer(model="abacus:direct")
        assert not slow.done()
        told = (await slow)["search"]
    assert plain["search"]["strategy"] == "direct"
    assert [vote["count"] for vote in told["votes"]] == [1, 1]


def worker_of(server: int) -> int:
    """The process id of a server's worker, once it is there."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for child in Path(f"/proc/{server}/task/{server}/children").read_text(encoding="utf-8").split():
            if b"verifier_worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        time.sleep(0.02)
    raise AssertionError("the server has started no worker")


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be reaped has."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_server(number: int) -> None:
    """Told to stop, or killed without a word: the worker has ended soon after."""
    with running([*ESPALIER, "serve", "--engine", "scripted", "--port", "0"]) as server:
        worker = worker_of(server.popen.pid)
        server.signal(number)
        server.exit_code()
        end = time.monotonic() + 20
        while not gone(worker):
            assert time.monotonic() < end
            time.sleep(0.02)


def test_the_setting_switches_algebra_off() -> None:
    """On unless set; neither needs a process yet."""
    assert make_answers(settings()).verifier is not None
    assert make_answers(settings(answer_equivalence="exact")).verifier is None


def test_a_missing_package_stops_the_start_unless_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to do; with ``exact`` it is not looked for."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(StartupError, match="--answer-equivalence exact"):
        check_rewards(settings())
    check_rewards(settings(answer_equivalence="exact"))


async def test_a_server_without_algebra_compares_exactly() -> None:
    """Two ways to write a number are one answer, two ways to write a polynomial are two."""
    engine = ScriptedEngine(script_from({"": [(r"\boxed{1/2}", 1.0)], r"\boxed{1/2}": [("", 1.0)]}))
    made = backend(engine, answers=make_answers(settings(answer_equivalence="exact")))
    async with serving(engine, made=made) as service:
        reply = await service.answer(model="abacus:majority")
    assert reply["search"]["votes"][0]["answer"] == "1/2"
    assert await made.answers.group(["1/2", "0.5", "x+1", "1+x"]) == [0, 0, 2, 3]
