"""What follows when an engine is gone: it is started again, or the server ends, as the setting says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from engine.pulse import Pulse
from engine.scripted import ScriptedEngine
from mcts.errors import EngineDead, StartupError
from server.runtime import Phase
from server.supervision import DEATHS_SECONDS, MOST_DEATHS, Supervisor
from tests.server.service import backend, serving, until


class Ward:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def engine_down(self) -> None:
        """Notes it."""
        self.told.append("down")

    def engine_up(self) -> None:
        """Notes it."""
        self.told.append("up")

    def engine_lost(self, error: EngineDead) -> None:
        """Notes it."""
        self.told.append(f"lost: {error}")


class Patient:
    """An engine that can die, and a clock that goes on with every look at it."""

    def __init__(self, *, mends: bool = True, seconds: float = 1.0) -> None:
        self.alive, self.now, self.looks, self.revived = False, 0.0, 0, 0
        self._mends, self._seconds = mends, seconds

    async def revive(self) -> None:
        """Starts it again, if that can be."""
        self.revived += 1
        if not self._mends:
            raise StartupError("no memory")
        self.alive = True

    async def sleep(self, _: float) -> None:
        """A look later; after 20 the watch ends."""
        self.now += self._seconds
        self.looks += 1
        if self.looks == 20:
            raise asyncio.CancelledError


async def watched(patient: Patient, policy: str, revive: Callable[[], Awaitable[None]] | None) -> list[str]:
    """What the ward is told of a patient."""
    ward = Ward()
    made = backend(ScriptedEngine(), healthy=lambda: patient.alive, revive=revive)
    supervisor = Supervisor(made, policy, ward, patient.sleep, lambda: patient.now)  # type: ignore[arg-type]
    try:
        await supervisor.watch()
    except asyncio.CancelledError:
        ward.told.append("watched on")
    return ward.told


async def test_a_dead_engine_is_started_again() -> None:
    """Down, then up, and it is watched on."""
    patient = Patient()
    assert await watched(patient, "restart", patient.revive) == ["down", "up", "watched on"]
    assert patient.revived == 1


async def test_with_exit_the_server_ends() -> None:
    """A supervisor of processes is to start it anew."""
    patient = Patient()
    told = await watched(patient, "exit", patient.revive)
    assert told == ["lost: an engine died (on_engine_death is exit)"]
    assert patient.revived == 0


async def test_an_engine_that_cannot_be_started_again_ends_the_server() -> None:
    """After a few tries: something is wrong that no restart mends."""
    patient = Patient(mends=False)
    told = await watched(patient, "restart", patient.revive)
    assert told[:-1] == ["down"] * (MOST_DEATHS - 1)
    assert told[-1].startswith("lost: engines died 5 times")


async def test_deaths_that_lie_far_apart_do_not_add_up() -> None:
    """Only those within the last minutes count."""
    patient = Patient(mends=False, seconds=DEATHS_SECONDS / (MOST_DEATHS - 1) + 1)
    assert await watched(patient, "restart", patient.revive) == ["down"] * 20 + ["watched on"]


async def test_what_cannot_be_revived_is_only_told() -> None:
    """Readiness says 503 and the watch goes on."""
    assert await watched(Patient(), "restart", None) == ["watched on"]


def test_a_busy_engine_that_falls_silent_has_stopped() -> None:
    """An idle one may be silent for ever; one at work must say something within the limit."""
    now = [0.0]
    pulse = Pulse(10, lambda: now[0])
    now[0] = 1000
    assert not pulse.stopped(busy=0)
    now[0] = 1009
    assert not pulse.stopped(busy=3)
    pulse.beat()
    now[0] = 1018
    assert not pulse.stopped(busy=3)
    now[0] = 1019.1
    assert pulse.stopped(busy=3)
    assert not Pulse(None, lambda: 10.0**9).stopped(busy=1)


async def test_readiness_tells_of_a_restart() -> None:
    """While the engine is started again chats get 503 with a time to come back; then they are answered."""
    alive, go = [True], asyncio.Event()

    async def revive() -> None:
        await go.wait()
        alive[0] = True

    made = backend(ScriptedEngine(), healthy=lambda: alive[0], revive=revive)
    async with serving(made=made) as service:
        await service.answer(model="abacus:direct")
        alive[0] = False
        await until(lambda: service.runtime.phase is Phase.RECOVERING)
        ready = await service.client.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "recovering")
        refused = await service.ask(model="abacus:direct")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert "started again" in refused.json()["error"]["message"]
        assert (await service.client.get("/health/live")).status_code == 200
        go.set()
        await until(lambda: service.runtime.phase is Phase.READY)
        assert (await service.client.get("/health/ready")).status_code == 200
        await service.answer(model="abacus:direct")
        counted = service.runtime.metrics.registry.get_sample_value
        assert counted("mcts_engine_deaths_total") == 1
        assert counted("mcts_ready") == 1


async def test_when_an_engine_is_lost_searches_give_what_they_have() -> None:
    """With ``exit``, the search under way answers with what it found, and the server says that it failed."""
    alive = [True]
    engine = ScriptedEngine(latency=lambda _, number: 0.01 if number < 3 else 60.0)
    made = backend(engine, healthy=lambda: alive[0])
    async with serving(engine, made=made, on_engine_death="exit") as service:
        search = {"strategy": "best_of_n", "samples": 8, "width": 8}
        asked = asyncio.create_task(service.answer(search=search))
        await until(lambda: engine.calls >= 8)
        await until(lambda: engine.open_calls == 5)
        alive[0] = False
        reply = await asked
        assert reply["search"]["stop_reason"] == "deadline"
        assert sum(vote["count"] for vote in reply["search"]["votes"]) == 3
        assert service.runtime.phase is Phase.FAILED
        assert isinstance(service.runtime.failure, EngineDead)
        assert (await service.ask()).status_code == 503


@pytest.mark.parametrize("stream", [False, True])
async def test_a_search_without_an_answer_is_told_that_the_server_ends(stream: bool) -> None:
    """That its budget ended would be true and no help."""
    engine = ScriptedEngine(latency=lambda _, __: 60.0)
    async with serving(engine) as service:
        asked = asyncio.create_task(service.ask(model="abacus:direct", stream=stream))
        await until(lambda: engine.open_calls == 1)
        service.runtime.curfew.call()
        reply = await asked
        assert reply.status_code == (200 if stream else 503)
        assert '"code":"not_ready"' in reply.text
        assert "The server is stopping." in reply.text


async def test_waiting_searches_are_told_too_when_the_server_ends() -> None:
    """Plain or streamed, they get a clear error and not a broken connection."""
    engine = ScriptedEngine(latency=lambda _, __: 60.0)
    async with serving(engine, max_searches=1) as service:
        asked = [asyncio.create_task(service.ask(model="abacus:direct", stream=n == 2)) for n in range(3)]
        await until(lambda: service.runtime.admission.waiting == 2)
        service.runtime.stopping.set()
        replies = await asyncio.gather(*asked)
        assert {reply.status_code for reply in replies} == {503}
        assert service.runtime.admission.waiting == 0
