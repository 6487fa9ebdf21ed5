"""Ending a vote by majority early, against numbers worked out by hand."""

import asyncio
import random

import pytest

from engine.scripted_judges import PlainAnswers
from engine.virtual_time import run_virtually
from mcts.budget import Budget, StopReason
from mcts.errors import EngineCallFailed, InvalidRequest
from mcts.events import SearchFinished, SimulationDone
from mcts.ports import Finish, Path, Prompt
from mcts.result import Candidate
from mcts.strategies import SamplingOptions
from mcts.strategies.adaptive import RunningVote, leads
from mcts.strategies.sampling import sample_and_vote
from tests.mcts.toys import answers, garden, search, step, world


def _candidate(answer, *, finished=True):
    finish = Finish.EOS if finished else Finish.LENGTH
    return Candidate(Path(Prompt(()), (step(1, finish=finish),), finished=finished), answer)


def _decided_after(given, samples, winners=1, certainty=1.0, reader=None):
    """After how many of the given answers the vote is decided; None when it never is."""

    async def main():
        vote = RunningVote(samples, winners, certainty, reader or PlainAnswers())
        for count, answer in enumerate(given, start=1):
            await vote.add(answer if isinstance(answer, Candidate) else _candidate(answer))
            if vote.decided:
                return count
        return None

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("ahead", "behind", "posterior"),
    [
        (0, 0, 1 / 2),  # Beta(1, 1) is uniform: half of it lies above one half
        (1, 0, 3 / 4),  # Beta(2, 1) has density 2p: 1 - (1/2)^2
        (3, 0, 15 / 16),  # Beta(4, 1): 1 - (1/2)^4, still below 0.95
        (4, 0, 31 / 32),  # Beta(5, 1): 1 - (1/2)^5 = 0.96875
        (1, 1, 1 / 2),  # Beta(2, 2) is symmetric
        (2, 1, 11 / 16),  # Beta(3, 2), density 12 p^2 (1 - p): [4 p^3 - 3 p^4] from 1/2 to 1 = 1 - 5/16
        (5, 1, 120 / 128),  # at most 5 heads in 7 tosses: 1 - (7 + 1) / 128 = 0.9375
        (6, 1, 247 / 256),  # at most 6 heads in 8 tosses: 1 - (8 + 1) / 256 = 0.96484
    ],
)
def test_the_posterior_is_that_of_the_two_way_beta(ahead, behind, posterior):
    """P(p > 1/2) under Beta(v1 + 1, v2 + 1), exactly."""
    assert leads(ahead, behind) == posterior


def test_the_posterior_of_many_votes_neither_overflows_nor_leaves_the_range():
    """Counts are whole numbers of any size; the two directions add up to one."""
    assert leads(1024, 0) == 1.0  # 1 - 2^-1025 rounds to 1
    assert leads(600, 424) + leads(424, 600) == pytest.approx(1.0)
    assert leads(600, 424) > 0.999


@pytest.mark.parametrize(
    ("given", "after"),
    [
        ("aaaaa", 4),  # of 7: after three a's, four others could still agree on one answer; after four, only three
        ("abababa", None),  # 4 to 3 is known at the last sample only
        ("aabaab", 5),  # 4 to 1 after five, two to come: 1 + 2 < 4. After four, 3 to 1 with three to come: 4 > 3
        ("bbbaaa", None),  # 3 to 3 with one to come: either may win
        ("aaabb", None),  # 3 to 2 with two to come: b could still have 4
        ("bbaab", None),
        ("abcda", None),  # 2 to 1 with two to come: b could still have 3
        ("aaabbaa", 6),  # 4 to 2 with one to come
    ],
)
def test_certainty_is_that_no_remaining_sample_can_change_the_answer(given, after):
    """Of seven samples: the first moment at which whatever comes, the leader stays."""
    assert _decided_after(given, 7) == after


def test_a_tie_at_the_end_goes_to_the_answer_found_first_and_that_is_certain_too():
    """Of four: after a, a the other two can only draw level, and the first found wins ties; b, found later, not."""
    assert _decided_after("aa", 4) == 2
    assert _decided_after("baa", 4) is None  # one more b draws level, and b was found first
    assert _decided_after("aba", 4) == 3  # one more b draws level, but a was found first


def test_the_decision_is_never_wrong_and_never_late():
    """Against all 3^k ways in which the remaining samples can fall, by the final vote's own rules."""
    chance = random.Random(5)
    for _ in range(60):
        samples = chance.randint(1, 7)
        given = [chance.choice("abc") for _ in range(samples)]
        decided = _decided_after(given, samples) or samples
        first = next(count for count in range(1, samples + 1) if len(_outcomes(given[:count], samples)) == 1)
        assert decided == max(1, first), (given, decided, first)


def _outcomes(given, samples):
    """The winners of all ways to go on, a new answer among them."""
    futures = [list(given)]
    for _ in range(samples - len(given)):
        futures = [[*future, more] for future in futures for more in "abcn"]
    return {max(dict.fromkeys(future), key=future.count) for future in futures}


def test_the_threshold_of_adaptive_consistency():
    """With 0.95, four equal answers are enough (31/32), or six against one (247/256); certainty needs far more."""
    assert _decided_after("aaaa", 40, certainty=0.95) == 4
    assert _decided_after("abaaaaa", 40, certainty=0.95) == 7
    assert _decided_after("abaaaaa", 40) is None
    assert _decided_after("ab", 40, certainty=0.5) == 1


def test_several_winners_must_all_be_decided():
    """For the two best of eight answers the second, too, must be out of reach of the third."""
    assert _decided_after("aaaabbb", 8, winners=1) == 4  # four to come can only draw level
    assert _decided_after("aaaabbb", 8, winners=2) == 6  # a 4, b 2, two to come: level at most


def test_texts_without_an_answer_and_unfinished_ones_only_use_up_samples():
    """They never vote: with one answer of two texts and one sample to come, nothing can catch it any more."""
    cut = _candidate("b", finished=False)
    assert _decided_after([None, "a"], 3) == 2
    assert _decided_after([cut, cut, "a"], 4) == 3
    assert _decided_after([cut, cut, cut], 5) is None  # a finished one would beat them all
    assert _decided_after([None, None, None], 4) is None


def test_equivalent_answers_vote_together_and_are_compared_once():
    """Grouping is the answer reader's; it is asked again only when a new text appears."""

    class Halves(PlainAnswers):
        asked = 0

        async def group(self, answers):
            self.asked += 1
            same = ["1/2" if answer in {"1/2", "0.5", "½"} else answer for answer in answers]
            return [same.index(answer) for answer in same]

    reader = Halves()
    assert _decided_after(["1/2", "0.5", "1/2", "½"], 7, reader=reader) == 4
    assert reader.asked == 3


def test_answers_still_being_compared_count_as_samples_to_come():
    """While the reader thinks about a new text its votes may be anybody's, so nothing is decided by them."""

    class Slow(PlainAnswers):
        async def group(self, answers):
            await asyncio.sleep(1.0 if "b" in answers else 0.0)
            return await super().group(answers)

    async def main():
        vote = RunningVote(7, 1, 1.0, Slow())
        await vote.add(_candidate("a"))
        adding = [asyncio.create_task(vote.add(_candidate(answer))) for answer in "bc"]
        await asyncio.sleep(0.5)
        for answer in "aa":
            await vote.add(_candidate(answer))
        early = vote.decided
        await asyncio.gather(*adding)
        return early, vote.decided

    # Three a's, two to come and two not compared: four votes might go to one answer. Once b and c are known to differ,
    # either can at most draw level with a, which was found first.
    assert run_virtually(main) == (False, True)


CERTAIN = {"": [("A\n\n", 1.0)]} | answers(("A\n\n", "answer: 1"))


def test_the_remaining_samples_are_cancelled_in_the_engine_at_once():
    """Of seven calls that take 1 s to 7 s the fourth equal answer ends the search and aborts three."""
    where = world(CERTAIN, latency=lambda _, number: 1.0 + number)
    result = search(sample_and_vote, where, SamplingOptions(samples=7, adaptive=True))
    # After three the four to come could outvote them; after four the three to come cannot.
    assert (result.stop_reason, result.simulations, result.seconds) == (StopReason.DECIDED, 4, 4.0)
    assert (where.engine.calls, where.engine.aborted_calls, where.engine.open_calls) == (7, 3, 0)
    assert (result.winners[0].answer, result.tallies[0].count) == ("1", 4)
    assert where.seen(SearchFinished)[-1].stop_reason is StopReason.DECIDED


def test_what_cancelled_samples_had_generated_is_counted():
    """A token a second, samples half a second apart: of three tokens each, the fourth answer is there after 4.5 s.

    Sample k begins at k/2 s: samples 4 to 6 have by then written 2, 2 and 1 tokens, spent though nobody reads them.
    """
    where = world(CERTAIN, latency=lambda _, number: number / 2, token_seconds=1.0)
    result = search(sample_and_vote, where, SamplingOptions(samples=7, adaptive=True))
    assert (result.stop_reason, result.seconds) == (StopReason.DECIDED, 4.5)
    assert result.generated_tokens == where.engine.generated_tokens == 4 * 3 + 2 + 2 + 1
    assert (where.engine.aborted_calls, where.engine.open_calls) == (3, 0)


@pytest.mark.parametrize("seed", range(4))
def test_a_watched_sample_is_the_same_sample(seed):
    """Streamed or not: same seeds, same texts, same log-probabilities."""
    whole = search(sample_and_vote, garden(), SamplingOptions(samples=5, width=1), seed=seed)
    watched = search(sample_and_vote, garden(), SamplingOptions(samples=5, width=1, adaptive=True), seed=seed)
    for one, other in zip(whole.candidates, watched.candidates, strict=False):
        assert one.path.text == other.path.text
        assert one.path.token_ids == other.path.token_ids
        pairs = zip(one.path.steps, other.path.steps, strict=True)
        assert all((left.logprobs == right.logprobs).all() for left, right in pairs)


def test_a_watched_sample_that_breaks_off_is_written_again():
    """Nobody has read it yet, so it is simply repeated, once; what was generated in vain stays counted."""
    where = world(CERTAIN)
    stream, calls = where.engine.stream, []

    async def breaking(request):
        calls.append(request)
        async for piece in stream(request):
            yield piece
            if len(calls) in broken:
                raise EngineCallFailed("broken")

    where.engine.stream = breaking
    broken = {2}
    result = search(sample_and_vote, where, SamplingOptions(samples=3, width=1, adaptive=True))
    # a; a broken one of one token and its repetition; of three the two equal ones are certain.
    assert (result.stop_reason, result.simulations, len(calls)) == (StopReason.DECIDED, 2, 3)
    assert result.generated_tokens == 3 + 1 + 3
    assert calls[1].seed != calls[2].seed
    calls.clear()
    broken = {2, 3}
    result = search(sample_and_vote, where, SamplingOptions(samples=9, width=1, adaptive=True))
    assert (result.stop_reason, result.simulations) == (StopReason.FAILED, 1)


def test_a_narrow_search_does_not_even_begin_what_is_not_needed():
    """One sample at a time: the calls after the decision are never made."""
    where = world(CERTAIN)
    options = SamplingOptions(samples=40, width=1, adaptive=True, certainty=0.95)
    result = search(sample_and_vote, where, options)
    assert (result.stop_reason, result.engine_calls, where.engine.calls) == (StopReason.DECIDED, 4, 4)


def test_width_bounds_the_open_calls():
    """Never more than that many at once, and as many while there are samples left."""
    open_calls = []

    def latency(*_):
        open_calls.append(where.engine.open_calls)
        return 1.0

    where = garden(latency=latency)
    result = search(sample_and_vote, where, SamplingOptions(samples=9, width=3))
    assert (max(open_calls), result.seconds, result.simulations) == (3, 3.0, 9)


@pytest.mark.parametrize("seed", range(12))
def test_ending_early_never_changes_the_answer(seed):
    """Whatever the order of replies: the answer (not the counts) is that of all samples in that order."""
    chance = random.Random(seed)
    delays = [chance.random() for _ in range(15)]

    def run(**options):
        where = garden(latency=lambda _, number: delays[number])
        return search(sample_and_vote, where, SamplingOptions(samples=15, **options), seed=seed)

    whole, early = run(), run(adaptive=True)
    assert early.winners[0].path.text == whole.winners[0].path.text
    assert early.simulations <= whole.simulations
    assert early.stop_reason in {StopReason.DECIDED, StopReason.SIMULATIONS}


def test_one_at_a_time_and_the_same_seed_give_the_same_search():
    """A sequential sampler is a function of its seed, whatever the calls take."""
    runs = []
    for _ in range(2):
        where = garden(latency=lambda *_: random.random())
        options = SamplingOptions(samples=9, width=1, adaptive=True, certainty=0.9)
        result = search(sample_and_vote, where, options, seed=4)
        runs.append([candidate.path.text for candidate in result.candidates])
    assert runs[0] == runs[1]


@pytest.mark.parametrize("text", ["没有答案", "🌳🌲", "just words"])
def test_texts_without_any_answer_are_all_drawn(text):
    """There is nothing to count, so nothing is decided early, and a text is given."""
    where = world({"": [(text, 1.0)], text: [("", 1.0)]})
    result = search(sample_and_vote, where, SamplingOptions(samples=6, adaptive=True))
    assert (result.simulations, result.stop_reason) == (6, StopReason.SIMULATIONS)
    assert (result.winners[0].answer, result.winners[0].path.text) == (None, text)


def test_a_decided_vote_beats_a_token_budget():
    """Under a token budget the vote is decided among what it has room for, and the budget holds."""
    where = world(CERTAIN, latency=lambda _, number: float(number))
    options = SamplingOptions(samples=9, adaptive=True, certainty=0.95)
    result = search(sample_and_vote, where, options, max_tokens=4, budget=Budget(tokens=16))
    assert (result.stop_reason, result.simulations) == (StopReason.DECIDED, 4)
    assert result.generated_tokens == 12 == where.engine.generated_tokens
    assert len(where.seen(SimulationDone)) == 4


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"width": 0}, "search.width"),
        ({"adaptive": True, "certainty": 0.4}, "search.certainty"),
        ({"adaptive": True, "certainty": float("nan")}, "search.certainty"),
        ({"certainty": 0.9}, "search.certainty"),
        ({"adaptive": True, "vote": "weighted"}, "search.adaptive"),
        ({"adaptive": True, "scored": True}, "search.adaptive"),
    ],
)
def test_senseless_options_are_refused_by_name(fields, param):
    """Every option is checked and named as the client wrote it."""
    with pytest.raises(InvalidRequest) as refused:
        SamplingOptions(**fields)
    assert refused.value.param == param
