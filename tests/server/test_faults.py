"""Faults of engines and reward models, each with the outcome that docs/operations.md gives: over HTTP, on the twin."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward
from mcts.errors import EngineCallFailed, EngineDead, RewardCallFailed, RewardDead
from mcts.ports import Continuation, Path, PathScore, SampleRequest
from tests.server.service import Service, backend, serving

TREE = {"strategy": "uct", "reward": "prm", "width": 1, "budget": {"simulations": 6}}


async def idle(service: Service) -> None:
    """Checks that nothing is left of what failed."""
    counted = service.runtime.metrics.registry.get_sample_value
    assert service.engine.open_calls == 0
    assert counted("mcts_engine_calls_in_flight") == 0
    assert counted("mcts_reward_calls_in_flight") == 0
    assert service.runtime.admission.running == 0


def from_call(number: int, error: Exception) -> Callable[[SampleRequest, int], Exception | None]:
    """Every call from this one on fails."""
    return lambda _, call: error if call >= number else None


async def test_an_engine_that_dies_half_way_leaves_the_best_answer_so_far() -> None:
    """With a candidate there is an answer, which says that it stopped because of a failure."""
    engine = ScriptedEngine(failure=from_call(3, EngineDead("The engine is gone.")))
    async with serving(engine) as service:
        reply = await service.answer(search=TREE)
        assert reply["search"]["stop_reason"] == "failed"
        assert reply["choices"][0]["message"]["content"]
        assert engine.calls == 4  # a dead engine is not asked twice
        await idle(service)


@pytest.mark.parametrize("model", ["abacus", "abacus:direct", "abacus:majority", "abacus:beam"])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_dies_before_any_answer_is_a_503(model: str, stream: bool) -> None:
    """And a time to come back."""
    engine = ScriptedEngine(failure=from_call(0, EngineDead("The engine is gone.")))
    async with serving(engine) as service:
        reply = await service.ask(model=model, stream=stream)
        assert '"code":"engine_failed"' in reply.text
        if not stream:
            assert reply.status_code == 503
            assert int(reply.headers["retry-after"]) >= 1
        await idle(service)


class Failing(ScriptedReward):
    """A reward model that fails from some call on."""

    def __init__(self, error: Exception, first: int, last: int = 10**9) -> None:
        super().__init__(worth=lambda _: 0.5)
        self._error, self._first, self._last, self.asked = error, first, last, 0

    async def score(self, paths: Sequence[Path]) -> list[PathScore]:
        """Scores, or fails."""
        number, self.asked = self.asked, self.asked + 1
        if self._first <= number <= self._last:
            raise self._error
        return list(await super().score(paths))


async def test_a_reward_model_that_dies_half_way_leaves_the_best_answer_so_far() -> None:
    """As with the engine."""
    reward = Failing(RewardDead("The reward engine is gone."), first=2)
    engine = ScriptedEngine()
    async with serving(engine, made=backend(engine, reward)) as service:
        assert (await service.answer(search=TREE))["search"]["stop_reason"] == "failed"
        assert reward.asked == 3
        await idle(service)


async def test_a_reward_model_that_is_dead_from_the_start_is_a_503_and_spares_others() -> None:
    """Searches that do not need it go on."""
    engine = ScriptedEngine()
    async with serving(engine, made=backend(engine, Failing(RewardDead("gone"), first=0))) as service:
        assert (await service.refusal(503, search=TREE))["code"] == "reward_failed"
        assert (await service.answer(model="abacus:direct"))["search"]["stop_reason"] == "simulations"
        await idle(service)


async def test_a_call_that_fails_once_is_repeated_and_nobody_notices() -> None:
    """Of the engine or of the reward model."""
    engine = ScriptedEngine(failure=lambda _, call: EngineCallFailed("once") if call == 1 else None)
    async with serving(engine, made=backend(engine, Failing(RewardCallFailed("once"), 1, 1))) as service:
        reply = await service.answer(search=TREE)
        assert reply["search"]["stop_reason"] == "simulations"
        assert reply["search"]["simulations"] == 6
        await idle(service)


async def test_a_call_that_fails_twice_ends_the_search_with_what_it_has() -> None:
    """One repetition is safe; more would hide a fault."""
    engine = ScriptedEngine(failure=from_call(2, EngineCallFailed("out of memory")))
    async with serving(engine) as service:
        assert (await service.answer(search=TREE))["search"]["stop_reason"] == "failed"
        assert engine.calls == 4
        await idle(service)


class Poisoned(ScriptedEngine):
    """An engine whose replies are spoiled."""

    spoil: Callable[[Continuation], Continuation] = staticmethod(lambda one: one)

    async def sample(self, request: SampleRequest) -> list[Continuation]:
        """Draws and spoils."""
        return [self.spoil(one) for one in await super().sample(request)]


def without_tokens(one: Continuation) -> Continuation:
    """Nothing at all, not even an end."""
    none = np.zeros(0, dtype=np.float32)
    no_ids = np.zeros((0, one.top_ids.shape[1]), dtype=np.int32)
    return dataclasses.replace(
        one,
        token_ids=(),
        text="",
        offsets=no_ids[:, 0] if no_ids.shape[1] else np.zeros(0, dtype=np.int32),
        logprobs=none,
        top_ids=no_ids,
        top_logprobs=no_ids.astype(np.float32),
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: dataclasses.replace(one, logprobs=np.full_like(one.logprobs, np.nan)),
        lambda one: dataclasses.replace(one, top_logprobs=np.full_like(one.top_logprobs, np.nan)),
        lambda one: dataclasses.replace(one, logprobs=np.full_like(one.logprobs, 0.5)),
        lambda one: dataclasses.replace(one, logprobs=one.logprobs[:-1]),
        lambda one: dataclasses.replace(one, finish=None),
        without_tokens,
    ],
    ids=["nan", "nan-alternatives", "above-zero", "short", "unended", "empty"],
)
async def test_a_poisoned_reply_is_a_failed_call(spoil: Callable[[Continuation], Continuation]) -> None:
    """Log-probabilities that are none, arrays that do not fit, no text at all: 503, never a score made of it."""
    engine = Poisoned()
    engine.spoil = spoil  # type: ignore[method-assign]
    async with serving(engine) as service:
        error = await service.refusal(503, search={"strategy": "uct", "reward": "confidence"})
        assert error["code"] == "engine_failed"
        await idle(service)


class Wrong(ScriptedReward):
    """A reward model that gives what it should not."""

    def __init__(self, scores: Callable[[int], list[PathScore]]) -> None:
        super().__init__(worth=lambda _: 0.5)
        self._scores = scores

    async def score(self, paths: Sequence[Path]) -> list[PathScore]:
        """Gives it."""
        return self._scores(len(paths))


@pytest.mark.parametrize(
    ("scores", "code"),
    [
        (lambda count: [PathScore(0.5)] * (count + 1), "step_mismatch"),
        (lambda _: [], "step_mismatch"),
        (lambda count: [PathScore(float("nan"))] * count, "reward_failed"),
        (lambda count: [PathScore(1.5)] * count, "reward_failed"),
    ],
    ids=["too-many", "none", "nan", "above-one"],
)
async def test_a_poisoned_score_is_a_503_and_never_a_neutral_value(
    scores: Callable[[int], list[PathScore]], code: str
) -> None:
    """A wrong count of scores is not mended by asking again, so clients are told not to."""
    engine = ScriptedEngine()
    async with serving(engine, made=backend(engine, Wrong(scores))) as service:
        reply = await service.ask(search=TREE)
        assert reply.status_code == 503
        assert reply.json()["error"]["code"] == code
        assert reply.headers.get("x-should-retry") == ("false" if code == "step_mismatch" else None)
        await idle(service)


async def test_a_fault_that_nobody_foresaw_is_a_500_that_says_nothing_of_itself() -> None:
    """And the next search runs as if nothing had been."""
    engine = ScriptedEngine(failure=lambda _, call: RuntimeError("secret path /etc") if call == 0 else None)
    async with serving(engine) as service:
        error: dict[str, Any] = await service.refusal(500, model="abacus:direct")
        assert "secret" not in str(error)
        await service.answer(model="abacus:direct")
        await idle(service)
