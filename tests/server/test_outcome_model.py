"""``espalier serve`` with an outcome reward model, on the real engine and tiny random models."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.engine.tiny import make_model
from tests.engine.tiny_rewards import make_orm
from tests.server.process import ESPALIER, Process, running
from tests.server.service import CHATS

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with a model and an outcome reward model, known by its architecture alone."""
    folder = tmp_path_factory.mktemp("models")
    model, reward = make_model(folder / "tiny"), make_orm(folder / "judge-of-answers")
    chosen = ["--model", str(model), "--reward-model", str(reward), "--reward-scale", "2", "--max-model-len", "256"]
    command = [*ESPALIER, "serve", "--port", "0", "--kv-cache-gib", "0.1", "--reward-kv-cache-gib", "0.1", *chosen]
    with running(command, seconds=280) as process:
        yield process


def test_its_reward_is_called_orm(server: Process) -> None:
    """The models' list has its preset and none of a process reward model's."""
    names = {model["id"] for model in httpx.get(f"{server.url}/v1/models").json()["data"]}
    assert "tiny:best-of-n-orm" in names
    assert "tiny:best-of-n-prm" not in names


@pytest.mark.parametrize(
    "search",
    [
        {"strategy": "best_of_n", "samples": 4, "reward": "orm"},
        {"strategy": "uct", "budget": {"simulations": 4}, "step": {"tokens": 32}},
    ],
)
def test_searches_are_guided_by_it(server: Process, search: dict[str, object]) -> None:
    """By name or by default, it scores the answers: the best one's value is a probability."""
    chat = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 64, "seed": 1}
    reply = httpx.post(f"{server.url}{CHATS}", json={**chat, "search": search, "n": 2}, timeout=120)
    assert reply.status_code == 200, reply.text
    told = reply.json()["search"]
    assert told["reward"] == "orm"
    assert 0.0 < told["value"] < 1.0
    assert told["reward_calls"] >= 1
