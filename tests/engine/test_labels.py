"""Labels read from the real generating engine: exact whatever their rank."""

from __future__ import annotations

import numpy as np
import pytest

from engine.pair import EnginePair
from engine.vllm_engine import VllmEngine
from mcts.errors import PathTooLong
from mcts.ports import SampleRequest, Sampling
from reward.labels import EngineLabels, read_labels

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def engine(tiny_engines: EnginePair) -> VllmEngine:
    """The generating engine."""
    return tiny_engines.generation


async def test_labels_have_the_models_own_log_probabilities(engine: VllmEngine) -> None:
    """Restricting a call to labels does not change what is reported, neither for likely nor for unlikely labels."""
    prompt = tuple(engine.tokenizer.encode("once upon a time"))
    free = SampleRequest(prompt, max_tokens=1, sampling=Sampling(temperature=0.0), top_logprobs=20, seed=0)
    (reply,) = await engine.sample(free)
    best = [int(token) for token in reply.top_ids[0][:2]]
    assert await read_labels(engine, prompt, best) == pytest.approx(reply.top_logprobs[0][:2], abs=1e-3)
    ranked = {int(token) for token in reply.top_ids[0]}
    rare = next(token for token in range(100) if token not in ranked)
    likely, unlikely = await read_labels(engine, prompt, (best[0], rare))
    assert likely == pytest.approx(reply.top_logprobs[0][0], abs=1e-3)
    assert np.isfinite(unlikely)
    assert unlikely <= reply.top_logprobs[0].min() + 1e-3


async def test_prompts_come_back_in_order_and_too_long_ones_fail(engine: VllmEngine) -> None:
    """One row per prompt; a path beyond the reward model's context fails the reward's call."""
    labels = engine.tokenizer.encode("ab")[:2]
    prompts = [engine.tokenizer.encode(text) for text in ("the sun", "the house", "the sun")]
    rows = await EngineLabels(engine).label_logprobs(prompts, labels)
    assert rows[0] == pytest.approx(rows[2], abs=1e-3)
    assert rows[0] != pytest.approx(rows[1], abs=1e-3)
    with pytest.raises(PathTooLong):
        await EngineLabels(engine).label_logprobs([[65] * engine.info.max_model_len], labels)
