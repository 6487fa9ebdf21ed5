"""Outcome rewards against hand-computed logits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.scripted import ScriptedEngine
from engine.scripted_language import ScriptedTokenizer
from mcts.errors import RewardCallFailed, StartupError, StepMismatch
from mcts.ports import FloatArray, Message, Prompt
from reward.families import OUTCOME
from reward.labels import EngineLabels
from reward.outcome import OutcomeReward, squashed
from reward.registry import LoadedModel, Reading
from tests.reward.fakes import path

QUESTION = Prompt((1,), messages=(Message("system", "Be brief."), Message("user", "1 + 1?")))


class Logits:
    """A scorer whose logits are chosen."""

    def __init__(self, *logits: float) -> None:
        self.values = np.array(logits, dtype=np.float32)
        self.asked: list[str] = []

    async def logits(self, prompts: Sequence[Sequence[int]]) -> FloatArray:
        """The logits, whatever was asked."""
        self.asked += [ScriptedTokenizer().decode(prompt) for prompt in prompts]
        return self.values


def reward(scorer: Logits, **fields) -> OutcomeReward:
    """An outcome reward over a scorer."""
    return OutcomeReward(scorer, ScriptedTokenizer(), **fields)


async def test_value_is_the_sigmoid_of_the_logit() -> None:
    """σ(0) = 1/2, σ(ln 3) = 3/4, σ(−ln 3) = 1/4, in the order of the paths."""
    scorer = Logits(0.0, math.log(3), -math.log(3))
    scores = await reward(scorer).score([path(text, QUESTION) for text in "abc"])
    assert [score.value for score in scores] == pytest.approx([0.5, 0.75, 0.25])
    assert [score.steps for score in scores] == [(), (), ()]


async def test_center_and_scale_shift_and_stretch() -> None:
    """(12 − 10) / (2 / ln 3) = ln 3: 3/4."""
    (score,) = await reward(Logits(12.0), center=10.0, scale=2 / math.log(3)).score([path("a", QUESTION)])
    assert score.value == pytest.approx(0.75)


async def test_model_reads_the_closed_chat() -> None:
    """Question and answer as turns, no further turn begun; the client's system turn gives way to the model's own."""
    scorer = Logits(0.0)
    await reward(scorer).score([path("二 🙂", QUESTION)])
    await reward(scorer, system="Grade.").score([path("2", QUESTION)])
    assert scorer.asked == ["<user>1 + 1?<assistant>二 🙂", "<system>Grade.<user>1 + 1?<assistant>2"]


async def test_empty_answers_are_worth_nothing_and_not_sent() -> None:
    """The others keep their places."""
    scorer = Logits(0.0)
    scores = await reward(scorer).score([path(" ", QUESTION), path("2", QUESTION), path("", QUESTION)])
    assert [score.value for score in scores] == [0.0, 0.5, 0.0]
    assert len(scorer.asked) == 1


async def test_wrong_count_of_logits_is_an_error() -> None:
    """D14: never papered over with a neutral score."""
    with pytest.raises(StepMismatch, match=r"\(1,\) for 2 paths"):
        await reward(Logits(0.0)).score([path("a"), path("b")])


@pytest.mark.parametrize("logit", [float("nan"), float("inf"), float("-inf")])
async def test_logit_that_is_not_a_number_is_an_error(logit: float) -> None:
    """A poisoned reply fails the call."""
    with pytest.raises(RewardCallFailed, match="not a number"):
        await reward(Logits(logit)).score([path("a")])


@pytest.mark.parametrize("fields", [{"scale": 0.0}, {"scale": -1.0}, {"scale": float("nan")}, {"center": float("inf")}])
def test_scales_that_mean_nothing_are_refused(fields: dict[str, float]) -> None:
    """Checked when the reward is made."""
    with pytest.raises(StartupError, match="scale above 0"):
        reward(Logits(), **fields)


async def test_a_loaded_outcome_model_is_read_as_the_operator_says() -> None:
    """(3 − 1) / (2 / ln 3) = ln 3: 3/4. A scorer serves no process reward, nor the other way round."""
    reading = Reading(center=1.0, scale=2 / math.log(3))
    loaded = LoadedModel(Logits(3.0), ScriptedTokenizer(), OUTCOME, reading)
    assert loaded.name == "orm"
    (score,) = await loaded.reward().score([path("a", QUESTION)])
    assert score.value == pytest.approx(0.75)
    with pytest.raises(StartupError, match="'outcome' needs another kind of engine than EngineLabels"):
        LoadedModel(EngineLabels(ScriptedEngine()), ScriptedTokenizer(), OUTCOME).reward()


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30))
def test_squashing_keeps_the_order(one: float, other: float) -> None:
    """Any finite logit gives a number in [0, 1], a higher one never a lower."""
    assert 0 <= squashed(one) <= 1
    assert (squashed(one) <= squashed(other)) or one > other
