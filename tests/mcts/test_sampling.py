"""The yardsticks: direct, majority, best-of-N and weighted best-of-N."""

import asyncio

import pytest

from engine.virtual_time import run_virtually
from mcts.budget import Budget, StopReason
from mcts.errors import EngineCallFailed, EngineDead, InvalidRequest, NoAnswerInTime, RewardCallFailed
from mcts.events import AnswerText, SearchFinished
from mcts.ports import Finish, Sampling
from mcts.strategies import STRATEGIES, DirectOptions, SamplingOptions
from mcts.strategies.cot import INSTRUCTION, instructed
from mcts.strategies.direct import direct
from mcts.strategies.sampling import sample_and_vote
from tests.mcts.toys import GARDEN_WORTH, garden, search

GREEDY = Sampling(temperature=0)


def test_direct_streams_the_greedy_answer():
    """Plain decoding tells its text as it arrives and takes the likeliest path."""
    where = garden()
    result = search(direct, where, DirectOptions(), sampling=GREEDY)
    assert result.winners[0].answer == "1"
    assert "".join(event.text for event in where.seen(AnswerText)) == "A\n\nanswer: 1" == result.winners[0].path.text
    assert (result.stop_reason, result.engine_calls, result.generated_tokens) == (StopReason.SIMULATIONS, 1, 3)


def test_direct_gives_the_text_so_far_at_the_deadline():
    """A deadline in the middle of the text ends it there, as an unfinished candidate."""
    where = garden(token_seconds=1.0)
    result = search(direct, where, DirectOptions(), sampling=GREEDY, budget=Budget(seconds=1.5))
    assert (result.winners[0].path.text, result.winners[0].path.finished) == ("A\n\n", False)
    assert (result.stop_reason, result.seconds) == (StopReason.DEADLINE, 1.5)
    assert (where.engine.open_calls, where.engine.aborted_calls) == (0, 1)


def test_direct_without_a_token_in_time_has_no_answer():
    """A deadline before the first token is an error that says so."""
    where = garden(latency=lambda *_: 2.0)
    with pytest.raises(NoAnswerInTime):
        search(direct, where, DirectOptions(), budget=Budget(seconds=1))
    assert [event.stop_reason for event in where.seen(SearchFinished)] == [StopReason.DEADLINE]


def test_direct_is_cut_by_the_token_budget():
    """The token budget bounds the text, which then counts as cut short."""
    where = garden()
    result = search(direct, where, DirectOptions(), sampling=GREEDY, budget=Budget(tokens=2))
    assert (result.generated_tokens, result.stop_reason) == (2, StopReason.TOKENS)
    assert result.winners[0].path.steps[-1].finish is Finish.LENGTH


@pytest.mark.parametrize(
    ("tokens", "reason"), [(5, StopReason.TOKENS), (6, StopReason.SIMULATIONS), (7, StopReason.SIMULATIONS)]
)
def test_a_last_sample_that_the_token_budget_cuts_is_told(tokens, reason):
    """Two samples of 3 tokens: 5 tokens cut the last one; with 6 it comes to its end, though it was granted less."""
    options = SamplingOptions(samples=2, width=1)
    result = search(sample_and_vote, garden(), options, sampling=GREEDY, max_tokens=4, budget=Budget(tokens=tokens))
    assert (len(result.candidates), result.stop_reason) == (2, reason)


def test_a_sample_that_its_own_limit_cuts_is_not_the_budgets():
    """The path's limit of 2 tokens ends both samples, and the budget is never short."""
    options = SamplingOptions(samples=2, width=1)
    result = search(sample_and_vote, garden(), options, sampling=GREEDY, max_tokens=2, budget=Budget(tokens=4))
    assert (len(result.candidates), result.stop_reason) == (2, StopReason.SIMULATIONS)


def test_direct_draws_n_samples_in_their_order():
    """``n`` choices are ``n`` samples, equal ones included."""
    where = garden()
    result = search(direct, where, DirectOptions(), sampling=GREEDY, n=3)
    assert [winner.answer for winner in result.winners] == ["1", "1", "1"]
    assert where.seen(AnswerText) == []


def test_direct_keeps_its_text_when_the_engine_fails_half_way():
    """Text that has been streamed stays the answer, and the stop reason tells the failure."""
    where = garden()
    stream = where.engine.stream

    async def breaking(request):
        async for piece in stream(request):
            yield piece
            raise EngineCallFailed("broken")

    where.engine.stream = breaking
    result = search(direct, where, DirectOptions(), sampling=GREEDY)
    assert (result.winners[0].path.text, result.stop_reason) == ("A\n\n", StopReason.FAILED)


def test_direct_repeats_a_stream_that_fails_before_its_first_piece():
    """Nothing was said yet, so the call is simply made again."""
    where = garden(failure=lambda _, number: EngineCallFailed("no") if number == 0 else None)
    assert search(direct, where, DirectOptions(), sampling=GREEDY).winners[0].answer == "1"


def test_majority_takes_the_commonest_answer_and_leaves_the_reward_alone():
    """Majority counts equivalent answers and scores nothing."""
    where = garden()
    result = search(sample_and_vote, where, SamplingOptions(samples=20))
    counts = {tally.answer: tally.count for tally in result.tallies}
    assert result.winners[0].answer == "1"
    assert sum(counts.values()) == 20
    assert (result.reward_calls, result.engine_calls, result.simulations) == (0, 20, 20)
    assert len({request.seed for request in where.engine.requests}) == 20


def test_best_of_n_takes_the_best_reward_and_weighted_the_largest_sum():
    """The same samples under another vote."""
    best = search(sample_and_vote, garden(), SamplingOptions(samples=40, vote="max_value"))
    weighted = search(sample_and_vote, garden(), SamplingOptions(samples=40, vote="weighted"))
    counts = {tally.answer: tally.count for tally in weighted.tallies}
    assert best.winners[0].answer == "4"
    for tally in weighted.tallies:
        assert tally.weight == pytest.approx(counts[tally.answer] * GARDEN_WORTH[tally.answer])
    assert best.generated_tokens == weighted.generated_tokens


def test_a_vote_by_reward_needs_a_reward():
    """Nothing is put in a missing reward's place."""
    where = garden()
    where.reward = None
    with pytest.raises(InvalidRequest) as refused:
        search(sample_and_vote, where, SamplingOptions(vote="weighted"))
    assert refused.value.param == "search.reward"


def test_a_deadline_gives_the_best_of_the_samples_that_are_done():
    """Samples are calls of their own: slow ones are cancelled at the deadline, quick ones count."""
    where = garden(latency=lambda _, number: 1.0 if number < 3 else 9.0)
    result = search(sample_and_vote, where, SamplingOptions(samples=8, vote="weighted"), budget=Budget(seconds=5))
    assert (len(result.candidates), result.stop_reason, result.seconds) == (3, StopReason.DEADLINE, 5.0)
    assert (where.engine.open_calls, where.engine.aborted_calls) == (0, 5)


def test_a_deadline_before_any_score_gives_the_samples_unscored():
    """The samples are done at once, their scores never come: the vote is then by heads, and no reward is made up."""
    where = garden()
    where.reward.latency = lambda _: 9.0
    options = SamplingOptions(samples=3, vote="weighted")
    result = search(sample_and_vote, where, options, sampling=GREEDY, budget=Budget(seconds=5))
    assert [(c.answer, c.reward) for c in result.candidates] == [("1", None)] * 3
    assert [(t.answer, t.weight) for t in result.tallies] == [("1", 3.0)]
    assert (result.winners[0].answer, result.stop_reason, result.seconds) == ("1", StopReason.DEADLINE, 5.0)


def test_a_failing_reward_is_not_hidden_behind_unscored_samples():
    """No limit was met: the client should learn that the reward fails."""
    where = garden()
    where.reward.failure = lambda _: RewardCallFailed("no")
    with pytest.raises(RewardCallFailed):
        search(sample_and_vote, where, SamplingOptions(samples=3, vote="weighted"))


def test_the_token_budget_is_used_up_but_never_exceeded():
    """Samples wait for room rather than being cut, until too little is left."""
    where = garden(latency=lambda _, number: float(number))
    result = search(sample_and_vote, where, SamplingOptions(samples=16), max_tokens=10, budget=Budget(tokens=32))
    # Every sample has 3 or 4 tokens: at least 8 fit, and no more than 10.
    assert result.generated_tokens <= 32
    assert 8 <= len(result.candidates) <= 11
    assert result.stop_reason is StopReason.TOKENS


@pytest.mark.parametrize("error", [EngineCallFailed("no"), EngineDead("gone")])
def test_a_failure_gives_the_best_so_far_or_is_raised(error):
    """With a candidate a failing engine ends the search well; without one its error is the answer."""
    late = garden(latency=lambda _, number: float(number), failure=lambda _, number: error if number > 2 else None)
    result = search(sample_and_vote, late, SamplingOptions(samples=8))
    assert (result.stop_reason, len(result.candidates)) == (StopReason.FAILED, 3)
    assert late.engine.open_calls == 0
    with pytest.raises(type(error)):
        search(sample_and_vote, garden(failure=lambda *_: error), SamplingOptions(samples=8))


def test_cancelling_a_search_cancels_its_calls():
    """Nothing stays open in the engine, and observers learn of the end."""
    where = garden(latency=lambda *_: 100.0)

    async def main():
        task = asyncio.create_task(sample_and_vote(where.task(), where.ports(), SamplingOptions()))
        await asyncio.sleep(1)
        assert where.engine.open_calls == 16
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    run_virtually(main)
    assert (where.engine.open_calls, where.engine.aborted_calls) == (0, 16)
    assert [event.stop_reason for event in where.seen(SearchFinished)] == [StopReason.CANCELLED]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"samples": 0}, "search.samples"),
        ({"samples": 2000}, "search.samples"),
        ({"vote": "max_visits"}, "search.vote"),
        ({"vote": "loudest"}, "search.vote"),
    ],
)
def test_senseless_options_are_refused_by_name(fields, param):
    """Every option is checked and named as the client wrote it."""
    with pytest.raises(InvalidRequest) as refused:
        SamplingOptions(**fields)
    assert refused.value.param == param


def test_every_strategy_runs_with_its_defaults():
    """The registry's entries are complete: each gives an answer on its own defaults."""
    for spec in STRATEGIES.values():
        where = garden()
        where.messages = instructed(where.messages, INSTRUCTION)
        assert search(spec.run, where, spec.defaults).winners[0].answer in GARDEN_WORTH
