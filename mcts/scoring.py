"""What paths are worth, as one search asks for it: every call checked, repeated once and reported."""

from __future__ import annotations

from collections.abc import Sequence

from mcts.account import ATTEMPTS, Account
from mcts.calls import Calls
from mcts.checks import checked_scores
from mcts.errors import InvalidRequest, PathTooLong, RewardCallFailed
from mcts.events import RewardCalled
from mcts.ports import Path, PathScore
from mcts.reward_ports import WritingReward
from mcts.together import together

TOO_LONG = "The path is longer than the reward model reads."


async def scored(calls: Calls, paths: Sequence[Path]) -> tuple[PathScore, ...]:
    """Scores paths, in order.

    A path that the reward model cannot read, because it is too long, is worth 0 and says so in its critique: the search
    turns to others. Those of the same call are then scored each on its own.

    Raises:
        RewardCallFailed: The call failed, and so did its repetition.
        RewardDead: The reward engine is gone.
        StepMismatch: The model's scores do not match the paths.
    """
    try:
        return await _repeated(calls, paths)
    except PathTooLong:
        if len(paths) > 1:
            alone = await together(scored(calls, [path]) for path in paths)
            return tuple(score for (score,) in alone)
        return (PathScore(0.0, critique=TOO_LONG),)


async def _repeated(calls: Calls, paths: Sequence[Path]) -> tuple[PathScore, ...]:
    for attempt in range(ATTEMPTS):
        try:
            return await _once(calls, paths)
        except PathTooLong:
            raise
        except RewardCallFailed:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")  # the last attempt returns or raises


async def _once(calls: Calls, paths: Sequence[Path]) -> tuple[PathScore, ...]:
    reward = calls.reward
    if reward is None:
        raise InvalidRequest("This strategy needs a reward.", "search.reward")
    began, failed = calls.clock(), None
    calls.meter.reward_calls += 1
    try:
        if isinstance(reward, WritingReward):
            return checked_scores(await reward.judge(paths, Account(calls)), len(paths))
        return checked_scores(await reward.score(paths), len(paths))
    except BaseException as error:
        failed = type(error).__name__
        raise
    finally:
        now = calls.clock()
        calls.observe(RewardCalled(len(paths), now - began, failed, now - calls.meter.started))
