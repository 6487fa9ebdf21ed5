"""The ports as a search uses them: metered, bounded, checked, repeated once, seeded."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from engine.virtual_time import run_virtually
from mcts.budget import Budget, Meter, StopReason
from mcts.errors import EngineCallFailed, EngineDead, PathTooLong, RewardCallFailed, StepMismatch
from mcts.events import EngineCalled, PathScored, RewardCalled
from mcts.grants import Grant
from mcts.ports import PathScore
from mcts.scoring import TOO_LONG
from mcts.search import Search
from mcts.seeds import SEED_GAP, derive_seed
from mcts.strategies import STRATEGIES
from tests.mcts.toys import garden, search


def _searching(where, use, **fields):
    """Runs ``use(search)`` on virtual time."""

    async def main():
        return await use(Search(where.task(**fields), where.ports(), "test"))

    return run_virtually(main)


def test_seeds_depend_on_everything_that_tells_calls_apart():
    """Task seed, purpose, path and attempt each change the seed; the same four give the same."""
    seeds = {
        derive_seed(seed, purpose, prefix, attempt)
        for seed in (1, 2)
        for purpose in ("expand", "reflect")
        for prefix in ((1, 2), (1, 23), (12, 3))
        for attempt in (0, 1)
    }
    assert len(seeds) == 24
    assert all(seed % SEED_GAP == 0 and 0 <= seed < 2**48 for seed in seeds)
    assert derive_seed(1, "expand", (1, 2)) == derive_seed(1, "expand", (1, 2)) == 60953852697088
    assert derive_seed(None, "expand", (1, 2)) is None


def test_a_reservation_never_exceeds_what_is_left():
    """Room is reserved by worst case and given back when the call settles."""
    meter = Meter(Budget(tokens=10), clock=lambda: 0.0)
    assert meter.reserve(2, 4) == 4
    assert meter.tokens_left == 2
    assert meter.reserve(2, 4) == 1
    meter.settle(2, 4, generated=3)
    assert (meter.tokens_left, meter.reserved_tokens) == (5, 2)


def test_calls_wait_for_room_before_they_are_made_smaller():
    """A call whose worst case does not fit waits for open calls; alone, it is made smaller: continuations first."""
    where = garden()

    async def use(search):
        calls = search.calls
        assert await calls.granted(2, 40) == Grant(2, 40)  # 20 left
        waiting = asyncio.create_task(calls.granted(2, 20))
        await asyncio.sleep(1)
        assert not waiting.done()
        search.meter.settle(2, 40, generated=65)
        calls.room.tell()
        return await waiting, search.meter.reserved_tokens

    # 35 of 100 are left and nothing is open: one continuation of 20 fits, two do not.
    assert _searching(where, use, budget=Budget(tokens=100)) == (Grant(1, 20), 20)


def test_a_call_that_failed_is_repeated_once_with_another_seed():
    """A failed call is safe to repeat; the second failure is final."""
    where = garden(failure=lambda _, number: EngineCallFailed("no") if number == 0 else None)
    drawn = _searching(where, lambda search: search.calls.sample(where.prompt.token_ids, "test"))
    assert len(drawn) == 1
    assert len({request.seed for request in where.engine.requests}) == 2
    assert [event.failed for event in where.seen(EngineCalled)] == ["EngineCallFailed", None]

    where = garden(failure=lambda *_: EngineCallFailed("no"))
    with pytest.raises(EngineCallFailed):
        _searching(where, lambda search: search.calls.sample(where.prompt.token_ids, "test"))
    assert where.engine.calls == 2


def test_a_dead_engine_is_not_called_again():
    """Repeating a call to a dead engine is pointless."""
    where = garden(failure=lambda *_: EngineDead("gone"))
    with pytest.raises(EngineDead):
        _searching(where, lambda search: search.calls.sample(where.prompt.token_ids, "test"))
    assert where.engine.calls == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda drawn: [replace(drawn[0], logprobs=drawn[0].logprobs * np.nan)],
        lambda drawn: [replace(drawn[0], logprobs=drawn[0].logprobs[1:])],
        lambda drawn: [replace(drawn[0], finish=None)],
        lambda drawn: [replace(drawn[0], token_ids=(1,) * 999, **_arrays(999))],
        lambda drawn: [*drawn, *drawn],
        lambda _: [],
    ],
)
def test_a_poisoned_reply_is_a_failed_call(spoil):
    """Replies that are not what was asked for are never used silently."""
    where = garden()
    sample = where.engine.sample

    async def spoilt(request):
        return spoil(await sample(request))

    where.engine.sample = spoilt
    with pytest.raises(EngineCallFailed):
        _searching(where, lambda search: search.calls.sample(where.prompt.token_ids, "test"))


def _arrays(count):
    floats = np.zeros(count, dtype=np.float32)
    ints = np.zeros((count, 0), dtype=np.int32)
    return {"logprobs": floats, "offsets": ints[:, :0].sum(axis=1), "top_ids": ints, "top_logprobs": ints}


@pytest.mark.parametrize(
    ("scores", "error"),
    [
        ([], StepMismatch),
        ([PathScore(0.5), PathScore(0.5)], StepMismatch),
        ([PathScore(float("nan"))], RewardCallFailed),
        ([PathScore(1.5)], RewardCallFailed),
        ([PathScore(0.5, (0.1, -0.2))], RewardCallFailed),
    ],
)
def test_a_senseless_reward_is_an_error(scores, error):
    """No neutral score stands in for one that is missing, not a number or out of range."""
    where = garden()

    async def score(paths):
        return scores

    where.reward.score = score
    with pytest.raises(error):
        _searching(where, lambda search: search.score([search.path(())]))


def test_rounding_errors_of_rewards_are_clipped():
    """A reward a millionth beyond 1 is 1."""
    where = garden()
    where.reward.worth = lambda _: 1.0 + 1e-7
    assert _searching(where, lambda search: search.score([search.path(())])) == [PathScore(1.0)]


def test_equal_paths_are_scored_once():
    """Paths with the same tokens share one score, and every one of them gets it."""
    where = garden()
    scores = _searching(where, lambda search: search.score([search.path(()), search.path(())]))
    assert len(scores) == 2
    assert [event.paths for event in where.seen(RewardCalled)] == [1]


def test_calls_tell_how_long_they_took():
    """Events carry the call's duration and the search's age."""
    where = garden(latency=lambda *_: 2.0)
    _searching(where, lambda search: search.calls.sample(where.prompt.token_ids, "test"))
    (event,) = where.seen(EngineCalled)
    assert (event.duration, event.seconds, event.continuations, event.failed) == (2.0, 2.0, 1, None)
    assert where.engine.requests[0].search_id == ""


def test_a_path_never_outgrows_its_limit():
    """A call continues a path only as far as the task's limit allows."""
    where = garden()
    prefix = (*where.prompt.token_ids, *where.engine.tokenizer.encode("B\n\n"))
    drawn = _searching(where, lambda search: search.calls.sample(prefix, "test"), max_tokens=2)
    assert len(drawn[0].token_ids) == 1
    assert _searching(where, lambda search: search.calls.sample(prefix, "test"), max_tokens=1) == ()


@pytest.mark.parametrize("name", ["uct", "beam", "best_of_n"])
def test_a_path_too_long_for_the_reward_model_is_worth_nothing(name):
    """The search goes on with the others; of three answers the two that can be read keep their worth.

    The batch that held it is asked again path by path, never as a whole.
    """
    where = garden()
    score, asked = where.reward.score, []

    async def picky(paths):
        asked.append(len(paths))
        if any("answer: 4" in path.text for path in paths):
            raise PathTooLong("too long")
        return await score(paths)

    where.reward.score = picky
    spec = STRATEGIES[name]
    result = search(spec.run, where, spec.defaults)
    worth = {candidate.answer: candidate.reward for candidate in result.candidates}
    assert worth == {"1": 0.25, "3": 0.5, "4": 0.0}
    assert result.winners[0].answer in {"1", "3"}
    assert {event.critique for event in where.seen(PathScored) if event.finished and not event.reward} == {TOO_LONG}
    assert len([size for size in asked if size > 1]) < len(asked)


def test_a_path_too_long_is_not_asked_about_again():
    """Other failed calls are repeated; here that would be of no use."""
    where = garden()
    asked = []

    async def refusing(paths):
        asked.append(len(paths))
        raise PathTooLong("too long")

    where.reward.score = refusing
    (score,) = _searching(where, lambda search: search.score([search.path(())]))
    assert (score.value, score.critique, asked) == (0.0, TOO_LONG, [1])


def test_what_cancelled_calls_had_generated_is_counted():
    """Two samples are done (2 x 2 tokens and their ends), two calls are cut by the deadline, 7 tokens into each."""
    where = garden()
    sample = where.engine.sample

    async def slow(request):
        if len(where.engine.requests) < 2:
            return await sample(request)
        where.engine.requests.append(request)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            request.spent.tokens = 7
            raise

    where.engine.sample = slow
    spec = STRATEGIES["best_of_n"]
    options = replace(spec.defaults, samples=4)
    result = search(spec.run, where, options, budget=Budget(seconds=5))
    done = sum(len(candidate.path.token_ids) for candidate in result.candidates)
    assert len(result.candidates) == 2
    assert result.stop_reason is StopReason.DEADLINE
    assert result.generated_tokens == done + 14
    assert sorted(event.generated_tokens for event in where.seen(EngineCalled))[-2:] == [7, 7]
