"""Reward models on servers that speak vLLM's pooling dialect: scores, affinity, and what failures become."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from engine.remote.affinity import working_for
from engine.remote.fleet import REWARD_ENGINES, Fleet
from engine.remote.losses import Lost
from engine.remote.pooling import RemoteLogits, RemoteTags, Task, at_tags
from engine.remote.probes import PoolingProbe
from engine.remote.settings import FleetSettings
from engine.remote.wire import Wire
from engine.tokenizer import HFTokenizer
from mcts.errors import PathTooLong, RewardCallFailed, RewardDead
from tests.engine.fake_vllm import STEP_TAG, FakeVllm, fakes
from tests.engine.remote_fleet import first_and_second, moods, until

TAG = "<extra_0>"


@asynccontextmanager
async def fleet(tokenizer: HFTokenizer, task: Task, *servers: FakeVllm) -> AsyncIterator[Fleet]:
    """A fleet that scores."""
    given: dict[str, Any] = {"check_seconds": 0.05, "check_timeout": 0.2, "patience_seconds": 0.2, "start_seconds": 5}
    settings = FleetSettings(tuple(server.url for server in servers), setting="reward_url", **given)
    tag = STEP_TAG if task == "token_classify" else None
    made = Fleet(settings, PoolingProbe(settings, tokenizer, task, tag), REWARD_ENGINES, Wire(settings))
    try:
        await made.start()
        await until(lambda: all(member.is_in for member in made.members.values()))
        yield made
    finally:
        await made.close()


async def test_probabilities_come_by_step_tag(tokenizer: HFTokenizer) -> None:
    """A row for every tag of every prompt, in order; prompts travel as token ids."""
    server = FakeVllm(tokenizer)
    async with fakes(server), fleet(tokenizer, "token_classify", server) as made:
        tags = RemoteTags(made, TAG, tokenizer, 4096)
        one, two = await tags.classify([[9, STEP_TAG], [9, STEP_TAG, 8, STEP_TAG]])
    assert (one.shape, two.shape, two.dtype) == ((1, 2), (2, 2), np.float32)
    assert two[1].tolist() == [0.25, 0.75]
    assert server.calls[0] | server.calls[1] | {"input": 0} == {
        "model": "models/abacus", "task": "token_classify", "input": 0, "use_activation": True,
        "encoding_format": "float", "add_special_tokens": False,
    }  # fmt: skip


def test_rows_of_all_tokens_are_read_at_the_tags() -> None:
    """A server that does not know the tag gives every token a row; neither is taken for the other."""
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    assert at_tags(rows, [5, STEP_TAG, 6, STEP_TAG], STEP_TAG).tolist() == [[2, 3], [6, 7]]
    assert at_tags(rows[:1], [5, STEP_TAG, 6], STEP_TAG).tolist() == [[0, 1]]
    with pytest.raises(Lost, match="for 3 tokens with 2 step tags"):
        at_tags(rows, [5, STEP_TAG, STEP_TAG], STEP_TAG)


async def test_an_answer_has_one_raw_logit(tokenizer: HFTokenizer) -> None:
    """Without any activation, shape ``[prompts]``."""
    server = FakeVllm(tokenizer)
    async with fakes(server), fleet(tokenizer, "classify", server) as made:
        logits = await RemoteLogits(made, tokenizer, 4096).logits([[5, 6], [7]])
        assert (await RemoteLogits(made, tokenizer, 4096).logits([])).shape == (0,)
    assert logits.tolist() == [1.5, 1.5]
    assert server.calls[0]["use_activation"] is False


async def test_rewards_of_one_search_stay_on_one_server(tokenizer: HFTokenizer) -> None:
    """The task's search decides, in every task that it starts."""
    servers = tuple(FakeVllm(tokenizer) for _ in range(3))
    async with fakes(*servers), fleet(tokenizer, "token_classify", *servers) as made:
        tags = RemoteTags(made, TAG, tokenizer, 4096)
        for number in range(6):
            with working_for(f"search-{number}"):
                await asyncio.gather(*(tags.classify([[9, STEP_TAG], [8, STEP_TAG]]) for _ in range(2)))
    for number in range(6):
        first = first_and_second(servers, f"search-{number}")[0]
        assert sum(name.startswith(f"search-{number}-") for name in first.names) == 4


@pytest.mark.parametrize("mood", ["reset", "503", "500", "shape", "html"])
async def test_a_lost_score_is_asked_elsewhere(tokenizer: HFTokenizer, mood: Any) -> None:
    """As calls that generate."""
    servers = tuple(FakeVllm(tokenizer) for _ in range(2))
    first_and_second(servers)[0].mood = moods(mood)
    async with fakes(*servers), fleet(tokenizer, "token_classify", *servers) as made:
        with working_for("a-search"):
            (rows,) = await RemoteTags(made, TAG, tokenizer, 4096).classify([[9, STEP_TAG]])
        assert made.failovers == 1
    assert rows.tolist() == [[0.25, 0.75]]


async def test_errors_are_those_of_the_port(tokenizer: HFTokenizer) -> None:
    """Too long a path, a refusal, and nobody left: each its own error."""
    server = FakeVllm(tokenizer, mood=moods("400"))
    async with fakes(server), fleet(tokenizer, "token_classify", server) as made:
        tags = RemoteTags(made, TAG, tokenizer, 100)
        with pytest.raises(PathTooLong, match="fewer than 100"):
            await tags.classify([[9] * 100])
        with pytest.raises(RewardCallFailed, match="refused a path"):
            await tags.classify([[9, STEP_TAG]])
        await server.kill()
        with pytest.raises(RewardDead, match="No reward engine answers"):
            await tags.classify([[9, STEP_TAG]])
