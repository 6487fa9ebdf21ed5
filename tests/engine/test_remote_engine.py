"""The fleet that generates, over servers that speak vLLM's dialect: requests, replies, affinity."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from engine.remote.affinity import working_for
from engine.tokenizer import HFTokenizer
from mcts.errors import InvalidRequest, PromptTooLong
from mcts.ports import NO_TOKEN, Continuation, Finish, Sampling
from mcts.steps import joined
from tests.engine.fake_vllm import ANSWER, FakeVllm, fakes
from tests.engine.remote_fleet import EOS, ask, engine, first_and_second, until


async def test_a_reply_has_tokens_text_and_alternatives(tokenizer: HFTokenizer) -> None:
    """What comes over the wire is what the port promises: ids, offsets, own and top log-probabilities, the ending."""
    server = FakeVllm(tokenizer)
    async with fakes(server), engine(tokenizer, server) as remote:
        first, second = await remote.sample(ask(tokenizer, n=2, top_logprobs=3))
    assert first.text == second.text == ANSWER
    assert first.token_ids == (*tokenizer.encode(ANSWER), EOS)
    assert (first.finish, first.stop) == (Finish.EOS, None)
    assert first.offsets[-1] == len(ANSWER)
    assert first.top_ids.shape == first.top_logprobs.shape == (len(first.token_ids), 3)
    assert first.top_ids[0, 0] == first.token_ids[0]
    assert first.logprobs[:4] == pytest.approx([-0.125, -0.25, -0.375, -0.5])
    assert (np.diff(first.top_logprobs, axis=1) <= 0).all()


async def test_prompts_travel_as_token_ids_with_every_setting_spelt_out(tokenizer: HFTokenizer) -> None:
    """The prefix is sent as the very ids; a server's own defaults decide nothing."""
    server = FakeVllm(tokenizer)
    sampling = Sampling(temperature=0.7, top_p=0.9, top_k=20, min_p=0.1, repetition_penalty=1.1, logit_bias={7: 2.0})
    async with fakes(server), engine(tokenizer, server) as remote:
        await remote.sample(request := ask(tokenizer, sampling=sampling, seed=-1))
    (body,) = server.calls
    assert body["prompt"] == list(request.prefix)
    assert body["seed"] == (1 << 62) - 1
    assert {name: body[name] for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")} == {
        "temperature": 0.7, "top_p": 0.9, "top_k": 20, "min_p": 0.1, "repetition_penalty": 1.1,
    }  # fmt: skip
    assert body["logit_bias"] == {"7": 2.0}
    assert server.names[0].startswith("a-search-")


async def test_cached_tokens_are_those_the_server_tells(tokenizer: HFTokenizer) -> None:
    """Of ``usage.prompt_tokens_details``; the fake has whole blocks of 32 in its cache."""
    server = FakeVllm(tokenizer)
    async with fakes(server), engine(tokenizer, server) as remote:
        (reply,) = await remote.sample(ask(tokenizer, prefix=tuple([5] * 70)))
    assert reply.cached_tokens == 64


async def test_a_delimiter_stays_and_a_stop_string_is_cut(tokenizer: HFTokenizer) -> None:
    """As in process: steps keep their delimiter, a client's stop string is named and cut."""
    server = FakeVllm(tokenizer)
    async with fakes(server), engine(tokenizer, server) as remote:
        (step,) = await remote.sample(ask(tokenizer, delimiters=("\n\n",)))
        (cut,) = await remote.sample(ask(tokenizer, sampling=Sampling(stop=(" = ",))))
    assert (step.finish, step.text) == (Finish.DELIMITER, "17 + 25 = 42\n\n")
    assert (cut.finish, cut.stop, cut.text) == (Finish.STOP, " = ", "17 + 25")


async def test_more_stop_strings_than_the_server_takes_are_looked_for_here(tokenizer: HFTokenizer) -> None:
    """Vllm's server takes four; the fifth is a delimiter, which ends the call all the same, and closes it."""
    server = FakeVllm(tokenizer, token_seconds=0.01)
    async with fakes(server), engine(tokenizer, server) as remote:
        request = ask(tokenizer, delimiters=("\n\n",), sampling=Sampling(stop=("q", "w", "x", "z")))
        (step,) = await remote.sample(request)
        await until(lambda: server.open_calls == 0)
    assert server.calls[0]["stop"] == ["q", "w", "x", "z"]
    assert (step.finish, step.text) == (Finish.DELIMITER, "17 + 25 = 42\n\n")


async def test_the_pieces_of_a_stream_are_the_whole(tokenizer: HFTokenizer) -> None:
    """Joined they are what ``sample`` gives, and only the last has an ending."""
    server = FakeVllm(tokenizer)
    async with fakes(server), engine(tokenizer, server) as remote:
        (whole,) = await remote.sample(ask(tokenizer, top_logprobs=2))
        pieces = [piece async for piece in remote.stream(ask(tokenizer, top_logprobs=2))]
    assert len(pieces) > 3
    assert [piece.finish for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    together: Continuation = joined(pieces)
    assert (together.token_ids, together.text, together.finish) == (whole.token_ids, whole.text, whole.finish)
    assert together.top_ids.tolist() == whole.top_ids.tolist()


async def test_a_prompt_without_room_is_refused_here(tokenizer: HFTokenizer) -> None:
    """As in process, before anything is sent."""
    server = FakeVllm(tokenizer)
    async with fakes(server), engine(tokenizer, server) as remote:
        with pytest.raises(PromptTooLong, match="4096"):
            await remote.sample(ask(tokenizer, prefix=(5,) * 4096))
    assert server.calls == []


async def test_cancelling_closes_the_connection_and_tells_what_was_written(tokenizer: HFTokenizer) -> None:
    """The server sees the client go, and the search knows the tokens so far."""
    server = FakeVllm(tokenizer, token_seconds=0.02)
    async with fakes(server), engine(tokenizer, server) as remote:
        request = ask(tokenizer, n=2)
        call = asyncio.create_task(remote.sample(request))
        await until(lambda: server.written > 0)
        await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await until(lambda: server.open_calls == 0)
    assert server.aborted == 1
    assert request.spent.tokens == 16  # the first event of each of the two: 8 tokens


async def test_closing_a_stream_closes_the_connection(tokenizer: HFTokenizer) -> None:
    """Nobody reads on, so nobody writes on."""
    server = FakeVllm(tokenizer, token_seconds=0.01)
    async with fakes(server), engine(tokenizer, server) as remote:
        async with aclosing(remote.stream(ask(tokenizer))) as pieces:  # type: ignore[type-var]
            await anext(pieces)
        await until(lambda: server.open_calls == 0)
    assert server.aborted == 1


async def test_calls_of_one_search_stay_on_one_server(tokenizer: HFTokenizer) -> None:
    """All of a search's calls go to the server that ranks first for it; rewards' too, by the task's search."""
    servers = tuple(FakeVllm(tokenizer) for _ in range(3))
    async with fakes(*servers), engine(tokenizer, *servers) as remote:
        for number in range(12):
            for _ in range(3):
                await remote.sample(ask(tokenizer, search_id=f"search-{number}"))
        with working_for("search-0"):
            await remote.sample(ask(tokenizer, search_id=""))
    home = first_and_second(servers, "search-0")[0]
    assert len(home.calls) == sum(name.startswith("search-") for name in home.names) + 1
    for number in range(12):
        first = first_and_second(servers, f"search-{number}")[0]
        assert sum(name.startswith(f"search-{number}-") for name in first.names) == 3


async def test_a_hot_server_spills_over(tokenizer: HFTokenizer) -> None:
    """Beyond the bound a search's calls go to its second server, not to chance."""
    servers = tuple(FakeVllm(tokenizer, token_seconds=0.01) for _ in range(3))
    first, second, third = first_and_second(servers)
    async with fakes(*servers), engine(tokenizer, *servers, spill_from=2, load_factor=1.25) as remote:
        # Loads 1 and 2 are within the floor; the third and fourth call go to the second server.
        await asyncio.gather(*(remote.sample(ask(tokenizer)) for _ in range(4)))
    assert [len(server.calls) for server in (first, second, third)] == [2, 2, 0]


async def test_plain_servers_are_asked_for_text_and_stopped_here(tokenizer: HFTokenizer) -> None:
    """A server with nothing but OpenAI's completions: text prompts, one continuation a call, ids by their text."""
    server = FakeVllm(tokenizer, native=False, takes_tokens=False, token_seconds=0.001)
    async with fakes(server), engine(tokenizer, server) as remote:
        replies = await remote.sample(ask(tokenizer, n=2, top_logprobs=2))
        (step,) = await remote.sample(ask(tokenizer, delimiters=("\n\n",)))
        (seven,) = tokenizer.encode("7")
        (stopped,) = await remote.sample(ask(tokenizer, sampling=Sampling(stop_token_ids=(seven,))))
        assert any("text" in lack for lack in remote.fleet.members[server.url].offer.lacks)  # type: ignore[union-attr]
        with pytest.raises(InvalidRequest, match="top_k") as refused:
            await remote.sample(ask(tokenizer, sampling=Sampling(top_k=5)))
    assert refused.value.param == "top_k"
    assert [reply.text for reply in replies] == [ANSWER, ANSWER]
    assert replies[0].token_ids == (*tokenizer.encode(ANSWER), EOS)
    assert replies[0].top_ids[-1].tolist() == [EOS, NO_TOKEN]
    assert [body["seed"] for body in server.calls[:2]] == [7, 8]
    assert isinstance(server.calls[0]["prompt"], str)
    assert (step.finish, step.text) == (Finish.DELIMITER, "17 + 25 = 42\n\n")
    assert (stopped.finish, stopped.stop, stopped.text) == (Finish.STOP, seven, "1")
