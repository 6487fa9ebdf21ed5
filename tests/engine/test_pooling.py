"""The real reward engine on a tiny random process reward model, and the Qwen convention end to end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from engine.pair import EnginePair
from engine.pooling import TagEngine
from mcts.errors import PathTooLong
from mcts.ports import FloatArray

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def reward(tiny_engines: EnginePair) -> TagEngine:
    """The reward engine."""
    assert tiny_engines.reward is not None
    return tiny_engines.reward


def by_hand(folder: Path, prompt: list[int], tag: int) -> FloatArray:
    """Softmax of the two-layer head over the hidden states at the tags, in plain torch."""
    import torch
    from safetensors.torch import load_file
    from transformers import Qwen2Config, Qwen2Model

    weights = load_file(str(folder / "model.safetensors"))
    model = Qwen2Model(Qwen2Config.from_pretrained(folder)).float()
    model.load_state_dict({name.removeprefix("model."): value for name, value in weights.items() if "model." in name})
    with torch.no_grad():
        hidden = model(torch.tensor([prompt])).last_hidden_state[0]
        inner = torch.relu(hidden @ weights["score.0.weight"].T + weights["score.0.bias"])
        logits = inner @ weights["score.2.weight"].T + weights["score.2.bias"]
    rows: FloatArray = torch.softmax(logits, -1)[[i for i, token in enumerate(prompt) if token == tag]].numpy()
    return rows


async def test_rows_are_the_heads_probabilities_at_the_tags(reward: TagEngine, tiny_models: tuple[Path, Path]) -> None:
    """One row per tag, in order, equal to the model computed in plain torch."""
    texts = ["a<extra_0>", "the sun<extra_0>rises<extra_0>\n\nnow<extra_0>", "no tag at the end<extra_0> but text"]
    prompts = [reward.tokenizer.encode(text) for text in texts]
    tag = reward.tokenizer.token_id("<extra_0>")
    assert tag is not None
    rows = await reward.classify(prompts)
    assert [len(each) for each in rows] == [1, 3, 1]
    for row, prompt in zip(rows, prompts, strict=True):
        assert row == pytest.approx(by_hand(tiny_models[1], prompt, tag), abs=1e-3)
        assert row.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


async def test_many_prompts_come_back_in_order(reward: TagEngine) -> None:
    """All prompts of a call are in the engine at once, and each gets its own rows."""
    prompts = [reward.tokenizer.encode(f"{i} " + "step<extra_0>" * (1 + i % 5)) for i in range(40)]
    rows = await reward.classify(prompts)
    assert [len(each) for each in rows] == [1 + i % 5 for i in range(40)]
    (alone,) = await reward.classify([prompts[17]])
    assert np.allclose(rows[17], alone, atol=1e-3)
    assert await reward.classify([]) == []


async def test_too_long_a_path_is_named(reward: TagEngine) -> None:
    """A path beyond the model's context fails its call with the lengths; the engine lives on."""
    limit = reward.info.max_model_len
    with pytest.raises(PathTooLong, match=f"fewer than {limit} tokens; a path has {limit}"):
        await reward.classify([[65] * limit])
    assert reward.healthy


async def test_cancelling_aborts_in_the_engine(reward: TagEngine) -> None:
    """A cancelled call leaves nothing to do."""
    tag = reward.tokenizer.token_id("<extra_0>") or 0
    task = asyncio.create_task(reward.classify([[65] * 500 + [tag]] * 64))
    while not reward.process.busy:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reward.process.busy == 0
