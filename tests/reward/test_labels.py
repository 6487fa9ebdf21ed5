"""Labels read through an engine's ordinary calls, and their softmax."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from engine.scripted import ScriptedEngine
from engine.scripted_language import ScriptedTokenizer, script_from
from mcts.errors import EngineCallFailed, EngineDead, EngineError, PromptTooLong, RewardCallFailed, RewardDead
from mcts.ports import Continuation, FloatArray, SampleRequest
from reward.families import RLHFLOW_DEEPSEEK
from reward.labelled import LabelReward
from reward.labels import EngineLabels, read_labels, share_of_first
from tests.reward.fakes import path

LETTERS = [chr(ord("a") + i) for i in range(25)]
# "+" has 0.2, "-" 0.01, and 25 letters share the rest: "-" is not among the 20 likeliest.
TABLE = {"": [("+", 0.2), ("-", 0.01), *((letter, 0.79 / 25) for letter in LETTERS)]}


def engine(table=TABLE, **fields) -> ScriptedEngine:
    """An engine that writes one piece after the prompt."""
    return ScriptedEngine(script_from(table), ScriptedTokenizer(("+", "-", *LETTERS)), **fields)


def labels_of(where: ScriptedEngine) -> list[int]:
    """The two labels."""
    return [where.tokenizer.encode(label)[0] for label in "+-"]


async def test_labels_are_exact_whatever_their_rank() -> None:
    """They are ln 0.2 and ln 0.01, the latter outside the 20 likeliest: one call more tells it. Softmax: 0.2 / 0.21."""
    where = engine()
    row = await read_labels(where, where.tokenizer.encode("<user>?<assistant>"), labels_of(where))
    assert row == pytest.approx([math.log(0.2), math.log(0.01)])
    assert where.calls == 2
    assert share_of_first(row[None]) == pytest.approx([0.2 / 0.21])


async def test_one_call_is_enough_where_all_labels_are_likely() -> None:
    """Labels among the alternatives need no call of their own. Each call writes one token."""
    where = engine({"": [("+", 0.25), ("-", 0.75)]})
    row = await read_labels(where, where.tokenizer.encode("<assistant>"), labels_of(where))
    assert np.exp(row) == pytest.approx([0.25, 0.75])
    assert (where.calls, where.generated_tokens) == (1, 1)


async def test_prompts_are_asked_at_once_and_come_back_in_order() -> None:
    """Replies in reverse order change nothing; nothing stays open."""
    where = engine({"": [("+", 1.0)], "x": [("+", 0.5), ("-", 0.5)]}, latency=lambda _, number: 0.01 * (3 - number))
    prompts = [where.tokenizer.encode(text) for text in ("<assistant>", "<assistant>x", "<assistant>")]
    reader = EngineLabels(where)
    task = asyncio.create_task(reader.label_logprobs(prompts[1:2] * 3, labels_of(where)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert where.open_calls == 3
    rows = await task
    assert np.exp(rows) == pytest.approx(np.full((3, 2), 0.5))
    mixed = np.exp(await reader.label_logprobs(prompts, labels_of(where)))
    assert mixed[:, 0] == pytest.approx([1.0, 0.5, 1.0])
    assert (await reader.label_logprobs([], labels_of(where))).shape == (0, 2)
    assert where.open_calls == 0


async def test_cancelling_aborts_in_the_engine() -> None:
    """A cancelled reading leaves no call open."""
    where = engine(latency=lambda *_: 100.0)
    task = asyncio.create_task(EngineLabels(where).label_logprobs([[1], [2]], labels_of(where)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (where.open_calls, where.aborted_calls) == (0, 2)


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (EngineCallFailed("no"), RewardCallFailed),
        (EngineDead("gone"), RewardDead),
        (PromptTooLong("long"), RewardCallFailed),
    ],
)
async def test_faults_of_the_reward_models_engine_are_the_rewards(error: Exception, becomes: type) -> None:
    """A search tells whose engine failed; a path that is too long for the reward model is not the client's fault."""
    where = engine(failure=lambda *_: error)
    with pytest.raises(becomes, match=f"The reward model: {error}") as caught:
        await EngineLabels(where).label_logprobs([[1]], labels_of(where))
    assert not isinstance(caught.value, EngineError)
    assert where.open_calls == 0


class Stubborn(ScriptedEngine):
    """Writes what it likes, or nothing."""

    replies: int = 1

    async def sample(self, request: SampleRequest) -> list[Continuation]:
        """Ignores which tokens are allowed."""
        free = SampleRequest(request.prefix, max_tokens=1, top_logprobs=request.top_logprobs, seed=1)
        return [*await super().sample(free)] * self.replies


@pytest.mark.parametrize("replies", [0, 1, 2])
async def test_reply_that_is_no_label_is_a_failed_call(replies: int) -> None:
    """An engine that does not honour the restriction gives no score rather than a wrong one."""
    where = Stubborn(script_from({"": [("z", 1.0)]}), ScriptedTokenizer(("+", "-", "z")))
    where.replies = replies
    with pytest.raises(RewardCallFailed, match="wrote something else"):
        await EngineLabels(where).label_logprobs([where.tokenizer.encode("<assistant>")], labels_of(where))


def rows(*values: tuple[float, float]) -> FloatArray:
    """An array of label log-probabilities."""
    return np.array(values, dtype=np.float32)


def test_softmax_over_labels_by_hand() -> None:
    """(ln 3, ln 1) is 3/4; a common constant (here −100 and −1000) changes nothing and does not underflow."""
    ln3 = math.log(3)
    shares = share_of_first(rows((ln3, 0), (ln3 - 100, -100), (-1000, -1000), (-1, -np.inf), (-np.inf, -1)))
    assert shares == pytest.approx([0.75, 0.75, 0.5, 1.0, 0.0], rel=1e-4)


@pytest.mark.parametrize("row", [(-np.inf, -np.inf), (np.nan, 0.0), (0.0, np.nan), (np.inf, 0.0)])
def test_rows_without_meaning_are_refused(row: tuple[float, float]) -> None:
    """No probability at all is no even chance."""
    with pytest.raises(RewardCallFailed, match="no probability"):
        share_of_first(rows(row))


async def test_causal_reward_model_on_an_engine_end_to_end() -> None:
    """RLHFlow on a scripted engine: P(+) = 0.6 and P(-) = 0.2 give 3/4, and a certain "-" gives 0."""

    def script(prompt: str, answer: str):
        return [("-", 1.0)] if "two" in prompt else [("+", 0.6), ("-", 0.2), ("a", 0.2)]

    where = ScriptedEngine(script, ScriptedTokenizer(("+", "-", "a")))
    model = LabelReward(EngineLabels(where), where.tokenizer, RLHFLOW_DEEPSEEK)
    (score,) = await model.score([path("one\n\ntwo")])
    assert score.steps == pytest.approx((0.75, 0.0), abs=1e-6)
    assert score.value == pytest.approx(0.375)
