"""Each family of reward models on the real engine: a tiny random model of its architecture, against plain transformers.

The reference in each test is the published way of asking, written down anew: one pass over the whole text. Ours asks
in its own way (step by step, through a pooler, from a prefix cache) and must come to the same scores.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.model_folder import read_card
from engine.pair import EnginePair
from engine.pooling import OutcomeEngine
from engine.served import ServedModel
from engine.settings import EngineSettings
from mcts.errors import RewardCallFailed
from mcts.ports import Message, Prompt, RewardModel
from reward.families import GENERATIVE, family_for
from reward.labels import EngineLabels
from reward.registry import LoadedModel
from server.vllm_backend import _engine_for, _loaded
from tests.engine.tiny_rewards import make_llama, make_orm, make_shepherd, make_skywork
from tests.reward.fakes import path
from tests.server.service import settings

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

QUESTION = "Add 2 to 3.\nThen double it."
PROMPT = Prompt((1,), messages=(Message("user", QUESTION),))
STEPS = ("First 2 + 3 = 5.", "Then 2 * 5 = 11 to be sure.", "So the answer is 11")
TEXT = "\n\n".join(STEPS)
PLUS = {"role": "assistant", "content": "+"}


@asynccontextmanager
async def served(folder: Path, **changes: Any) -> AsyncIterator[tuple[ServedModel, RewardModel]]:
    """The engine and the reward that a server makes of a reward model's folder; the model is known by its folder."""
    family = family_for(str(folder), read_card(str(folder)).architecture)
    engine = _engine_for(family)(EngineSettings(str(folder), kv_cache_gib=0.1))
    await engine.start()
    try:
        await engine.warm_up()
        loaded = _loaded(settings(reward_model=str(folder), **changes), engine)
        yield engine, loaded.reward()
    finally:
        await engine.close()


def logits_of(model: Any, ids: Sequence[int]) -> Any:
    """What a causal model says after each token, shape ``[tokens, vocabulary]``, in plain transformers."""
    import torch

    with torch.no_grad():
        return model.float().eval()(torch.tensor([list(ids)])).logits[0]


def share(logits: Any, labels: Sequence[int]) -> list[float]:
    """Softmax of two columns, the first."""
    import torch

    return [float(each) for each in torch.softmax(logits[:, list(labels)], -1)[:, 0]]


def check(found: Sequence[float], expected: Sequence[float]) -> None:
    """Equal within float32, and no scores that any mistake would give as well."""
    assert found == pytest.approx(expected, abs=1e-3)
    assert len(expected) == len(STEPS)
    assert np.ptp(expected) > 0.02


async def test_math_shepherd(tmp_path: Path) -> None:
    """Model card: logits of "+" and "-" at every "ки" of ``f"{question} {output}"``, in one pass; the worst step."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = make_shepherd(tmp_path / "math-shepherd-mistral-7b-prm")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.encode(f"{QUESTION} " + "\n".join(f"{step} ки" for step in STEPS))
    plus, minus = tokenizer.encode("+ -")[1:]
    tag = tokenizer.encode("ки")[-1]
    at_tags = [place for place, token in enumerate(ids) if token == tag]
    model = AutoModelForCausalLM.from_pretrained(folder)
    expected = share(logits_of(model, ids)[at_tags], (plus, minus))
    async with served(folder) as (_, reward):
        short, whole = await reward.score([path(STEPS[0], PROMPT), path(TEXT, PROMPT)])
    check(whole.steps, expected)
    assert whole.value == pytest.approx(min(expected), abs=1e-3)
    assert short.steps == whole.steps[:1]


async def test_rlhflow(tmp_path: Path) -> None:
    """``math-rm/prm_evaluate.py``: a chat that grows by a user turn and "+", the logits at place −3; the mean.

    The three published kinds (PRM on Mistral's data, on Deepseek's, ORM) are all LlamaForCausalLM under one template.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = make_llama(tmp_path / "Llama3.1-8B-PRM-Deepseek-Data")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    labels = (tokenizer.encode("+")[-1], tokenizer.encode("-")[-1])

    def last(turns: Sequence[str]) -> float:
        chat = [turn for text in turns for turn in ({"role": "user", "content": text}, dict(PLUS))]
        ids = tokenizer.encode(tokenizer.apply_chat_template(chat, tokenize=False), add_special_tokens=False)
        return share(logits_of(model, ids)[-3:-2], labels)[0]

    turns = [f"{QUESTION} {STEPS[0]}", *STEPS[1:]]
    expected = [last(turns[: end + 1]) for end in range(len(turns))]
    async with served(folder) as (engine, reward):
        (score,) = await reward.score([path(TEXT, PROMPT)])
        for name, text in (("Mistral", " ки\n".join(STEPS)), ("ORM-Mistral", TEXT)):
            family = family_for(f"Llama3.1-8B-{'' if 'ORM' in name else 'PRM-'}{name}-Data", "LlamaForCausalLM")
            other = LoadedModel(EngineLabels(engine), engine.tokenizer, family)  # type: ignore[arg-type]
            (told,) = await other.reward().score([path(text, PROMPT)])
            if other.name == "prm":
                assert told.steps == pytest.approx(score.steps, abs=1e-4)
            else:
                assert told.value == pytest.approx(last([f"{QUESTION} {TEXT}"]), abs=1e-3)
    check(score.steps, expected)
    assert score.value == pytest.approx(sum(expected) / 3, abs=1e-3)


async def test_skywork_o1(tmp_path: Path) -> None:
    """``prepare_input`` and ``derive_step_rewards``: sigmoid of ``v_head`` over the last hidden state at line ends.

    The folder is as published: vLLM 0.32 does not know the architecture, so it must come from this package's plugin.
    """
    import torch
    from safetensors.torch import load_file
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    folder = make_skywork(tmp_path / "Skywork-o1-Open-PRM-Qwen-2.5-1.5B")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.encode(tokenizer.bos_token + QUESTION + "\n")
    ends = []
    for step in STEPS:
        ids += [*tokenizer.encode(step), tokenizer.encode("\n")[-1]]
        ends.append(len(ids) - 1)
    weights = load_file(str(folder / "model.safetensors"))
    head = {name: weights.pop(f"v_head.summary.{name}") for name in ("weight", "bias")}
    model = Qwen2ForCausalLM(Qwen2Config.from_pretrained(folder)).float().eval()
    model.load_state_dict(weights)
    with torch.no_grad():
        hidden = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
        expected = torch.sigmoid(hidden[ends] @ head["weight"].T + head["bias"])[:, 0].tolist()
    async with served(folder) as (engine, reward):
        (score,) = await reward.score([path(TEXT, PROMPT)])
        assert engine.info.architecture == "Qwen2ForPrmModel"
    check(score.steps, expected)
    assert score.value == score.steps[-1]


async def test_generative_judge(tiny_engines: EnginePair, tiny_models: tuple[Path, Path]) -> None:
    """P(Yes) / (P(Yes) + P(No)) by the first token of each word, after a chat that asks about one step; the mean."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from reward.generative import STEP_SYSTEM

    tokenizer = AutoTokenizer.from_pretrained(tiny_models[0])
    model = AutoModelForCausalLM.from_pretrained(tiny_models[0])
    labels = (tokenizer.encode("Yes")[0], tokenizer.encode("No")[0])
    steps = ("2+3=5", "5*2=11", "11")
    expected = []
    for end in range(1, 4):
        told = "\n\n".join(f"Step {number}: {step}" for number, step in enumerate(steps[:end], start=1))
        question = f"Question:\n{QUESTION}\n\nSolution so far:\n{told}\n\nIs step {end} right?"
        chat = [{"role": "system", "content": STEP_SYSTEM}, {"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        expected += share(logits_of(model, tokenizer.encode(text))[-1:], labels)
    writer = tiny_engines.generation
    judge = LoadedModel(EngineLabels(writer), writer.tokenizer, GENERATIVE).reward()
    (score,) = await judge.score([path("\n\n".join(steps), PROMPT)])
    check(score.steps, expected)
    assert score.value == pytest.approx(sum(expected) / 3, abs=1e-3)


async def test_outcome_models_give_their_raw_logit(tmp_path: Path) -> None:
    """``AutoModelForSequenceClassification`` on the closed chat, ``logits[0][0]``: no activation, in order, batched.

    The reward is σ((logit − center) / scale).
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = make_orm(tmp_path / "orm")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).float().eval()
    answers = ("5", TEXT, "I do not know. 🙂")
    prompts, expected = [], []
    for answer in answers:
        chat = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": answer}]
        prompts.append(tokenizer.encode(tokenizer.apply_chat_template(chat, tokenize=False)))
        with torch.no_grad():
            expected.append(float(model(torch.tensor([prompts[-1]])).logits[0][0]))
    async with served(folder, reward_center=0.25, reward_scale=2.0) as (engine, reward):
        assert isinstance(engine, OutcomeEngine)
        logits = await engine.logits(prompts)
        scores = await reward.score([path(answer, PROMPT) for answer in answers])
        again = await engine.logits([prompts[1]] * 3)  # from the prefix cache
        with pytest.raises(RewardCallFailed, match="fewer than 512 tokens; a path has 512"):
            await engine.logits([[65] * 512])
        assert (await engine.logits([])).shape == (0,)
    check(logits, expected)
    assert again == pytest.approx([expected[1]] * 3, abs=1e-3)
    assert max(abs(each) for each in expected) > 1.0  # no probability
    told = [1 / (1 + np.exp(-(logit - 0.25) / 2)) for logit in expected]
    assert [score.value for score in scores] == pytest.approx(told, abs=1e-3)
