"""What becomes of calls when servers fail, in every way that they can."""

from __future__ import annotations

import asyncio
import time

import pytest

from engine.remote.losses import Fault, Lost
from engine.tokenizer import HFTokenizer
from mcts.errors import EngineCallFailed, EngineDead, InvalidRequest
from mcts.ports import Finish, JsonForm, Sampling
from mcts.steps import joined
from tests.engine.fake_vllm import ANSWER, FakeVllm, Mood, fakes
from tests.engine.remote_fleet import EOS, answered, ask, engine, first_and_second, moods, until

LOSSES: list[tuple[Mood, bool]] = [
    ("reset", True), ("reset_midway", True), ("end_midway", True), ("hang", True), ("hang_midway", True),
    ("503", True), ("401", True), ("500", False), ("full", False), ("429", False), ("error_midway", False),
    ("no_json", True), ("no_events", True), ("shape", False), ("abort", False), ("html", False),
]  # fmt: skip
"""How a call can be lost, and whether that puts the server out at once."""


@pytest.mark.parametrize(("mood", "out"), LOSSES, ids=[mood for mood, _ in LOSSES])
async def test_a_lost_call_is_made_again_elsewhere(tokenizer: HFTokenizer, mood: Mood, out: bool) -> None:
    """Whatever a server does wrong, the whole call goes to the next one and the search notices nothing."""
    servers = tuple(FakeVllm(tokenizer) for _ in range(2))
    first, second = first_and_second(servers)
    first.mood = moods(mood)
    async with fakes(*servers), engine(tokenizer, *servers, silence_seconds=0.3) as remote:
        assert await answered(remote, ask(tokenizer)) == ANSWER
        assert remote.fleet.members[first.url].is_in != out
        assert remote.fleet.failovers == 1
    assert second.calls == first.calls  # the same call, whole


async def test_tokens_of_a_lost_try_are_counted(tokenizer: HFTokenizer) -> None:
    """What a server wrote before it was lost has cost something: the search's meter hears of it."""
    servers = tuple(FakeVllm(tokenizer) for _ in range(2))
    first_and_second(servers)[0].mood = moods("reset_midway")
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        request = ask(tokenizer)
        await remote.sample(request)
    assert request.spent.tokens == 8  # one event


async def test_a_refusal_is_not_repeated(tokenizer: HFTokenizer) -> None:
    """400 is the request's fault: no other server is asked, and none is blamed; in mid-stream too."""
    servers = tuple(FakeVllm(tokenizer) for _ in range(2))
    first, second = first_and_second(servers)
    first.mood = moods("400", "bad_midway")
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        for _ in range(2):
            with pytest.raises(InvalidRequest, match="no"):
                await remote.sample(ask(tokenizer))
        assert remote.fleet.members[first.url].serves
    assert second.calls == []


async def test_three_failures_in_a_row_put_a_server_out(tokenizer: HFTokenizer) -> None:
    """A server that answers 500 is given three chances; a success in between forgives."""
    servers = tuple(FakeVllm(tokenizer) for _ in range(2))
    first, _ = first_and_second(servers)
    first.mood = moods("500", "500", "well", "500", "500", "500")
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        served = []
        for _ in range(6):
            await remote.sample(ask(tokenizer))
            served.append(remote.fleet.members[first.url].is_in)
    assert served == [True, True, True, True, True, False]


async def test_a_stream_goes_on_elsewhere_from_its_last_token(tokenizer: HFTokenizer) -> None:
    """Half an answer that has been shown stays shown; another server continues it."""
    servers = tuple(FakeVllm(tokenizer) for _ in range(2))
    first, second = first_and_second(servers)
    first.mood = moods("reset_midway")
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        request = ask(tokenizer)
        whole = joined([piece async for piece in remote.stream(request)])
    assert (whole.text, whole.token_ids, whole.finish) == (ANSWER, (*tokenizer.encode(ANSWER), EOS), Finish.EOS)
    taken_up = second.calls[0]
    assert taken_up["prompt"] == [*request.prefix, tokenizer.encode(ANSWER)[0]]
    assert taken_up["max_tokens"] == request.max_tokens - 1


HELD = Sampling(form=JsonForm())


async def test_a_stream_held_to_a_form_is_written_again(tokenizer: HFTokenizer) -> None:
    """A grammar begins with the first token: another server writes all of it, and what was shown is not given twice."""
    servers = tuple(FakeVllm(tokenizer) for _ in range(2))
    first, second = first_and_second(servers)
    first.mood = moods("reset_midway")
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        request = ask(tokenizer, sampling=HELD)
        whole = joined([piece async for piece in remote.stream(request)])
        unbroken = joined([piece async for piece in remote.stream(ask(tokenizer, sampling=HELD))])
    assert (whole.text, whole.token_ids, whole.finish) == (ANSWER, (*tokenizer.encode(ANSWER), EOS), Finish.EOS)
    assert whole.logprobs.tolist() == unbroken.logprobs.tolist()
    again = second.calls[0]
    assert again["prompt"] == list(request.prefix)
    assert (again["max_tokens"], again["seed"]) == (request.max_tokens, request.seed)
    assert request.spent.tokens == 1  # the one that was shown, written twice


async def test_a_stream_held_to_a_form_has_a_seed(tokenizer: HFTokenizer) -> None:
    """Whoever asks for none gets one, the same for every try: without it another server could not write the same."""
    servers = tuple(FakeVllm(tokenizer) for _ in range(2))
    first, second = first_and_second(servers)
    first.mood = moods("reset_midway")
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        whole = joined([piece async for piece in remote.stream(ask(tokenizer, sampling=HELD, seed=None))])
    assert whole.text == ANSWER
    assert first.calls[0]["seed"] == second.calls[0]["seed"] >= 0


async def test_a_stream_held_to_a_form_may_break_off_more_than_once(tokenizer: HFTokenizer) -> None:
    """The second try ends where the first did, on the other server; the third goes beyond."""
    servers = tuple(FakeVllm(tokenizer, mood=moods("reset_midway")) for _ in range(2))
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        whole = joined([piece async for piece in remote.stream(ask(tokenizer, sampling=HELD))])
    assert whole.text == ANSWER


async def test_a_stream_that_would_be_another_one_is_an_error(tokenizer: HFTokenizer) -> None:
    """What has been shown cannot be taken back."""
    servers = tuple(FakeVllm(tokenizer) for _ in range(2))
    first, second = first_and_second(servers)
    first.mood = moods("reset_midway")
    second.answer = "Another answer altogether."
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        pieces = remote.stream(ask(tokenizer, sampling=HELD))
        with pytest.raises(EngineCallFailed, match="does not write the same again"):
            async for _ in pieces:
                pass


async def test_a_killed_server_loses_nothing(tokenizer: HFTokenizer) -> None:
    """With calls open on it, a server dies: every one of them is answered by the other."""
    servers = tuple(FakeVllm(tokenizer, token_seconds=0.02) for _ in range(2))
    first, _ = first_and_second(servers)
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        calls = [asyncio.create_task(answered(remote, ask(tokenizer))) for _ in range(20)]
        await until(lambda: first.written > 0)
        await first.kill()
        assert await asyncio.gather(*calls) == [ANSWER] * 20
        assert not remote.fleet.members[first.url].serves
        assert remote.fleet.healthy


async def test_a_server_that_is_cut_off_is_noticed_by_its_silence(tokenizer: HFTokenizer) -> None:
    """A network that swallows everything sends no reset: two checks that time out end the calls on it."""
    servers = tuple(FakeVllm(tokenizer, token_seconds=0.05) for _ in range(2))
    first, _ = first_and_second(servers)
    first.mood = lambda _: "hang_midway"
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        call = asyncio.create_task(answered(remote, ask(tokenizer)))
        await until(lambda: first.written > 0)
        first.deaf, began = True, time.monotonic()
        assert await call == ANSWER
        # Two checks of 0.2 s with pauses of 0.05 s; the default silence of 120 s would have passed otherwise.
        assert time.monotonic() - began < 3


async def test_calls_that_are_open_on_a_server_end_once_another_call_found_it_gone(tokenizer: HFTokenizer) -> None:
    """A call put the server out, so nobody checks its health; that it is cut off the look at it must find."""
    servers = tuple(FakeVllm(tokenizer, token_seconds=0.05) for _ in range(2))
    first, _ = first_and_second(servers)
    first.mood = moods("hang_midway", "reset")
    # Health is looked at so rarely that only the look at an absent server can find out.
    async with fakes(*servers), engine(tokenizer, *servers, check_seconds=60) as remote:
        call = asyncio.create_task(answered(remote, ask(tokenizer)))
        await until(lambda: first.written > 0)
        first.deaf, began = True, time.monotonic()
        remote.fleet.lost(remote.fleet.members[first.url], Lost(Fault.GONE, "no connection in time"))
        assert await call == ANSWER
        assert time.monotonic() - began < 5
    assert remote.fleet.failovers == 1


async def test_calls_that_are_open_on_a_server_go_on_where_another_call_only_had_bad_luck(
    tokenizer: HFTokenizer,
) -> None:
    """One connection of many was reset: the server passes the look at it, and what is open there ends there."""
    servers = tuple(FakeVllm(tokenizer, token_seconds=0.05) for _ in range(2))
    first, _ = first_and_second(servers)
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        call = asyncio.create_task(answered(remote, ask(tokenizer)))
        await until(lambda: first.written > 0)
        remote.fleet.lost(remote.fleet.members[first.url], Lost(Fault.GONE, "the connection broke"))
        assert await call == ANSWER
        await until(lambda: remote.fleet.members[first.url].serves)
    assert remote.fleet.failovers == 0


async def test_a_server_comes_back(tokenizer: HFTokenizer) -> None:
    """One that was out serves its searches again once it answers."""
    servers = tuple(FakeVllm(tokenizer) for _ in range(2))
    first, second = first_and_second(servers)
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        await first.kill()
        assert await answered(remote, ask(tokenizer)) == ANSWER
        await first.start()
        await until(lambda: remote.fleet.members[first.url].serves)
        await remote.sample(ask(tokenizer))
    assert (len(first.calls), len(second.calls)) == (1, 1)


async def test_an_ill_server_is_put_out_by_its_health_check(tokenizer: HFTokenizer) -> None:
    """/health says 503 when vLLM's engine is dead behind its server."""
    server = FakeVllm(tokenizer)
    async with fakes(server), engine(tokenizer, server) as remote:
        server.ill = True
        await until(lambda: not remote.fleet.healthy)
        assert "503" in remote.fleet.why()
        with pytest.raises(EngineDead, match=r"No engine answers: http://127\.0\.0\.1:\d+: .*503"):
            await remote.sample(ask(tokenizer))


async def test_a_call_waits_for_a_server_for_a_while(tokenizer: HFTokenizer) -> None:
    """With nobody left, an outage shorter than the patience loses nothing."""
    server = FakeVllm(tokenizer)
    async with fakes(server), engine(tokenizer, server, patience_seconds=5) as remote:
        await server.kill()
        await until(lambda: not remote.fleet.healthy)
        call = asyncio.create_task(answered(remote, ask(tokenizer)))
        await asyncio.sleep(0.1)
        await server.start()
        assert await call == ANSWER


async def test_a_call_that_fails_everywhere_fails(tokenizer: HFTokenizer) -> None:
    """After four tries the call has failed, with the last reason; the engine is not declared dead for it."""
    servers = tuple(FakeVllm(tokenizer, mood=lambda _: "full") for _ in range(2))
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        with pytest.raises(EngineCallFailed, match=r"failed 4 times.*queue full"):
            await remote.sample(ask(tokenizer))
    assert len(servers[0].calls) + len(servers[1].calls) == 4
