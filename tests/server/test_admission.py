"""Places for searches: so many run, so many wait, the rest hear 429 at once."""

from __future__ import annotations

import asyncio

from engine.scripted import ScriptedEngine
from tests.server.service import Service, listening, serving, until


def slow() -> ScriptedEngine:
    """An engine whose calls take half a second."""
    return ScriptedEngine(latency=lambda _, __: 0.5)


async def ask(service: Service, *, stream: bool = False) -> int:
    """Asks plainly; the status."""
    return (await service.ask(model="abacus:direct", stream=stream)).status_code


async def test_a_full_server_turns_away_at_once() -> None:
    """With one place and one waiting, the third is told when to come back, plain or streamed."""
    async with serving(slow(), max_searches=1, max_queue=1) as service:
        admitted = [asyncio.create_task(ask(service)) for _ in range(2)]
        await until(lambda: service.runtime.admission.running == 1 and service.runtime.admission.waiting == 1)
        for stream in (False, True):
            reply = await service.ask(stream=stream)
            assert reply.status_code == 429
            assert reply.json()["error"]["type"] == "rate_limit_error"
            assert int(reply.headers["retry-after"]) >= 1
        assert (await service.client.get("/health/ready")).status_code == 200
        assert (await service.client.get("/metrics")).status_code == 200
        assert await asyncio.gather(*admitted) == [200, 200]
        assert (
            service.runtime.metrics.registry.get_sample_value(
                "mcts_searches_turned_away_total", {"reason": "queue_full"}
            )
            == 2
        )


async def test_a_wait_ends_in_time() -> None:
    """A search that finds no place within the wait is turned away."""
    async with serving(slow(), max_searches=1, queue_seconds=0.1) as service:
        first = asyncio.create_task(ask(service))
        await until(lambda: service.runtime.admission.running == 1)
        assert await ask(service) == 429
        assert await first == 200
        assert service.runtime.admission.waiting == 0


async def test_places_are_given_in_order_of_arrival() -> None:
    """Who waits longest is next."""
    async with serving(max_searches=1) as service:
        order: list[int] = []

        async def one(number: int) -> None:
            await ask(service)
            order.append(number)

        admission, waiting = service.runtime.admission, []
        async with admission.place():
            for number in range(6):
                waiting.append(asyncio.create_task(one(number)))
                await until(lambda: admission.waiting == len(waiting))
        await asyncio.gather(*waiting)
    assert order == list(range(6))


async def test_no_more_than_the_limit_ever_run() -> None:
    """Thirty at once on three places: all are answered, three at a time."""
    async with listening(ScriptedEngine(latency=lambda _, __: 0.01), max_searches=3) as service:
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, service.engine.open_calls)
                await asyncio.sleep(0.001)

        watching = asyncio.create_task(watch())
        assert set(await asyncio.gather(*(ask(service, stream=n % 2 == 0) for n in range(30)))) == {200}
        watching.cancel()
    assert most == 3
