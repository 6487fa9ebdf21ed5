"""CoT-decoding: first tokens, the confidence of answers and how they vote, against numbers worked out by hand."""

import asyncio
import random
from dataclasses import replace

import numpy as np
import pytest

from engine.virtual_time import run_virtually
from mcts.budget import Budget, StopReason
from mcts.errors import EngineCallFailed, EngineDead, InvalidRequest, NoAnswerInTime
from mcts.events import PathScored, SearchFinished
from mcts.ports import Sampling
from mcts.strategies.cot_decoding import SAMPLING, CotDecodingOptions, answer_tokens, confidence, cot_decoding
from tests.mcts.toys import continuation, forest, search, world

# Greedy decoding answers 5 at once and is unsure of it. Two less likely beginnings reason first and are sure of 8.
APPLES = {
    "": [("answer: ", 0.5), ("I ", 0.3), ("We ", 0.2)],
    "answer: ": [("5", 0.6), ("8", 0.4)],
    "answer: 5": [("", 1.0)],
    "I ": [("have 3 and 5.\n\n", 0.9), ("guess.\n\n", 0.1)],
    "I have 3 and 5.\n\n": [("answer: ", 1.0)],
    "I have 3 and 5.\n\nanswer: ": [("8", 0.8), ("5", 0.2)],
    "I have 3 and 5.\n\nanswer: 8": [("", 1.0)],
    "We ": [("count.\n\n", 1.0)],
    "We count.\n\n": [("answer: ", 1.0)],
    "We count.\n\nanswer: ": [("8", 0.7), ("5", 0.3)],
    "We count.\n\nanswer: 8": [("", 1.0)],
}


def apples(**engine):
    """A world on the apples, without a reward."""
    where = world(APPLES, **engine)
    where.reward = None
    return where


def run(where, options=CotDecodingOptions(), **fields):  # noqa: B008 - frozen
    """Runs it greedily, as published."""
    return search(cot_decoding, where, options, **({"sampling": SAMPLING} | fields))


def test_sure_answers_beat_the_greedy_one():
    """Δ over the answer's one token: 0.6 - 0.4 = 0.2 for 5; 0.8 - 0.2 = 0.6 and 0.7 - 0.3 = 0.4 for 8, together 1."""
    where = apples()
    result = run(where)
    assert [(c.answer, round(c.reward, 6)) for c in result.candidates] == [("5", 0.2), ("8", 0.6), ("8", 0.4)]
    assert [(t.answer, round(t.weight, 6), t.count) for t in result.tallies] == [("8", 1.0, 2), ("5", 0.2, 1)]
    assert result.winners[0].path.text == "I have 3 and 5.\n\nanswer: 8"
    assert [event.reward for event in where.seen(PathScored)] == [c.reward for c in result.candidates]
    # One call ranks the tokens; each path is one for its first token and one for the rest. Tokens: 1 + 3 + 5 + 5.
    assert (result.engine_calls, result.generated_tokens) == (7, 14)
    assert (result.simulations, result.stop_reason, result.reward_calls) == (3, StopReason.SIMULATIONS, 0)


def test_the_surest_path_and_the_sum_can_differ():
    """Three paths: 5 with Δ 0.9, 8 twice with 0.6 and 0.4. The maximum is 5, the aggregate 1.0 against 0.9."""
    table = APPLES | {"answer: ": [("5", 0.95), ("8", 0.05)]}
    options = CotDecodingOptions(vote="max_value")
    assert search(cot_decoding, world(table), options, sampling=SAMPLING).winners[0].answer == "5"
    assert search(cot_decoding, world(table), CotDecodingOptions(), sampling=SAMPLING).winners[0].answer == "8"


def test_k_bounds_the_first_tokens():
    """One first token is greedy decoding; more than the model knows are as many as it knows."""
    assert [c.answer for c in run(apples(), CotDecodingOptions(branch=1)).candidates] == ["5"]
    assert len(run(apples(), CotDecodingOptions(branch=2)).candidates) == 2
    assert len(run(apples(), CotDecodingOptions(branch=20)).candidates) == 3


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_replies_does_not_matter(seed):
    """All paths are written at once; whoever comes first, weights and winner are the same."""
    chance = random.Random(seed)
    result = run(apples(latency=lambda *_: chance.random()))
    assert result.winners[0].path.text == "I have 3 and 5.\n\nanswer: 8"
    assert sorted(round(c.reward, 6) for c in result.candidates) == [0.2, 0.4, 0.6]


def test_the_paths_are_written_side_by_side():
    """A ranking call, then the first tokens at once, then the rest at once: three calls' time for seven."""
    assert run(apples(latency=lambda *_: 1.0)).seconds == 3.0


def _written(pieces, offsets=None):
    """A text whose token i has the two likeliest probabilities 0.9 - i/10 and 0.1."""
    text = continuation(pieces)
    top = np.log([[0.9 - place / 10, 0.1] for place in range(len(pieces))]).astype(np.float32)
    changes = {} if offsets is None else {"offsets": np.array(offsets, dtype=np.int32)}
    return replace(text, top_logprobs=top, **changes)


@pytest.mark.parametrize(
    ("pieces", "answer", "prefill", "tokens"),
    [
        (["It is ", "1", "2", "."], "12", "", [1, 2]),
        (["1", "2", " or 1", "2"], "12", "", [2, 3]),  # the last place where it stands, and tokens that hold part of it
        (["12 it", " is"], "12", "", [0]),
        (["1,", "200"], "1200", "", [0, 1]),  # normalised by the reader: not found word for word
        (["no ", "answer"], None, "", [0, 1]),
        (["5", "6"], "456", "The answer is 4", [0, 1]),  # partly the client's own beginning
        (["... ", "done"], "4", "The answer is 4", [0, 1]),  # wholly the client's: nothing of it was written here
        (["答案是", "四十", "二", "。"], "四十二", "", [1, 2]),
        (["🌳", "🌲", "!"], "🌲", "", [1]),
    ],
)
def test_the_answers_tokens_are_found(pieces, answer, prefill, tokens):
    """Word for word at its last place in prefill and text, or else all tokens."""
    assert np.flatnonzero(answer_tokens(_written(pieces), answer, prefill)).tolist() == tokens


def test_tokens_that_gain_no_character_belong_to_the_character_they_begin():
    """🌲 takes three tokens here, of which only the last gains the character; all three count."""
    written = replace(_written(["x", "", "", "🌲", "!"]), text="x🌲!")
    assert written.offsets.tolist() == [1, 1, 1, 2, 3]
    assert np.flatnonzero(answer_tokens(written, "🌲")).tolist() == [1, 2, 3]


def test_confidence_is_the_mean_difference_of_the_two_likeliest():
    """Tokens 1 and 2: ((0.8 - 0.1) + (0.7 - 0.1)) / 2 = 0.65; token 0: 0.9 - 0.1; all: mean of 0.8 to 0.5."""
    written = _written(["It is ", "1", "2", "."])
    assert confidence(written, np.array([False, True, True, False])) == pytest.approx(0.65)
    assert confidence(written, np.array([True, False, False, False])) == pytest.approx(0.8)
    assert confidence(written, np.ones(4, dtype=bool)) == pytest.approx((0.8 + 0.7 + 0.6 + 0.5) / 4)


def test_a_token_without_a_rival_is_certain():
    """Where the engine knows one alternative only, the missing one has probability 0."""
    written = replace(_written(["4"]), top_logprobs=np.array([[0.0, -np.inf]], dtype=np.float32))
    assert confidence(written, np.array([True])) == 1.0


@pytest.mark.parametrize("text", ["没有答案\n\n完", "🌳🌲", "no answer at all"])
def test_free_text_is_compared_by_the_confidence_of_the_whole(text):
    """Texts without an answer: the surest path wins. Δ of the first token is 0.7 - 0.3 for both."""
    table = {"": [(text, 0.7), ("So", 0.3)], "So": [("!", 0.6), ("?", 0.4)], text: [("", 1.0)], "So!": [("", 1.0)]}
    result = run(world(table))
    assert (result.winners[0].answer, result.winners[0].path.text) == (None, text)
    # (0.4 + 1) / 2 with the end of sequence, against (0.4 + 0.2 + 1) / 3.
    assert [round(c.reward, 6) for c in result.candidates] == [0.7, round(1.6 / 3, 6)]


def test_a_path_without_text_is_worth_nothing():
    """Ending at once has Δ 0.7 - 0.3 = 0.4, more than the text's (0.4 + 0.2 + 0.1) / 3; yet it is no answer."""
    table = {"": [("So", 0.7), ("", 0.3)], "So": [("!", 0.6), ("?", 0.4)], "So!": [("", 0.55), ("!", 0.45)]}
    result = run(world(table))
    assert {(c.path.text, round(c.reward, 6)) for c in result.candidates} == {("So!", round(0.7 / 3, 6)), ("", 0.0)}
    assert result.winners[0].path.text == "So!"


def test_no_path_ends_below_the_least_number_of_tokens():
    """Ending at once is likely but not permitted; where nothing else begins a path, that is said."""
    table = {"": [("So", 0.7), ("", 0.3)], "So": [("!", 1.0)]}
    assert [c.path.text for c in run(world(table), sampling=replace(SAMPLING, min_tokens=1)).candidates] == ["So!"]
    with pytest.raises(InvalidRequest):
        run(world({"": [("", 1.0)]}), sampling=replace(SAMPLING, min_tokens=1))


def test_a_path_that_the_token_budget_cuts_is_told():
    """Ranking and the first token take the whole budget of 2, so the only path has no rest."""
    result = run(apples(), CotDecodingOptions(branch=1), budget=Budget(tokens=2))
    assert (result.winners[0].path.text, result.stop_reason) == ("answer: ", StopReason.TOKENS)


def test_what_the_client_rules_out_begins_no_path():
    """Banned first tokens are left out, and where none remains that is said."""
    where = apples()
    banned = dict.fromkeys(where.engine.tokenizer.encode("answer: "), -100.0)
    assert len(run(where, sampling=replace(SAMPLING, logit_bias=banned)).candidates) == 2
    with pytest.raises(InvalidRequest):
        run(apples(), sampling=replace(SAMPLING, allowed_token_ids=(3,)))


@pytest.mark.parametrize("tokens", [2, 3, 5, 8, 11, 13])
def test_the_token_budget_is_never_exceeded(tokens):
    """Whatever the limit: no more is generated, and finished paths win over those it cut."""
    where = apples(latency=lambda _, number: 1.0 + number % 3)
    result = run(where, max_tokens=6, budget=Budget(tokens=tokens))
    assert result.generated_tokens == where.engine.generated_tokens <= tokens
    assert result.stop_reason in {StopReason.TOKENS, StopReason.SIMULATIONS}
    assert result.winners[0].path.finished == any(c.path.finished for c in result.candidates)


def test_no_room_for_a_path_is_an_error():
    """A budget of the ranking token alone gives no answer, and says so."""
    with pytest.raises(NoAnswerInTime):
        run(apples(), budget=Budget(tokens=1))


def test_a_deadline_gives_the_paths_that_are_done():
    """Calls 0 to 3 take no time, the last two rests are slow: the first path stands alone."""
    where = apples(latency=lambda _, number: 9.0 if number > 4 else 0.0)
    result = run(where, budget=Budget(seconds=2))
    assert (len(result.candidates), result.stop_reason, result.seconds) == (1, StopReason.DEADLINE, 2.0)
    assert (where.engine.open_calls, where.engine.aborted_calls) == (0, 2)
    with pytest.raises(NoAnswerInTime):
        run(apples(latency=lambda *_: 9.0), budget=Budget(seconds=2))


@pytest.mark.parametrize("error", [EngineCallFailed("no"), EngineDead("gone")])
def test_a_failure_gives_the_best_so_far_or_is_raised(error):
    """With a path a failing engine ends well; without one its error is the answer."""
    late = apples(latency=lambda _, number: float(number), failure=lambda _, number: error if number > 4 else None)
    result = run(late)
    assert (result.stop_reason, len(result.candidates), late.engine.open_calls) == (StopReason.FAILED, 1, 0)
    with pytest.raises(type(error)):
        run(apples(failure=lambda *_: error))


def test_cancelling_leaves_nothing_open():
    """Every call is cancelled, and observers learn of the end."""
    where = forest(latency=lambda _, number: 1.0 if number == 0 else 100.0)

    async def main():
        task = asyncio.create_task(cot_decoding(where.task(), where.ports(), CotDecodingOptions()))
        await asyncio.sleep(2)
        assert where.engine.open_calls == 2
        task.cancel()
        await asyncio.wait([task])

    run_virtually(main)
    assert (where.engine.open_calls, where.engine.aborted_calls) == (0, 2)
    assert [event.stop_reason for event in where.seen(SearchFinished)] == [StopReason.CANCELLED]


def test_n_gives_distinct_answers():
    """The best two answers, heaviest first."""
    assert [winner.answer for winner in run(apples(), n=2).winners] == ["8", "5"]


def test_a_temperature_of_the_clients_is_honoured():
    """The rest of each path is drawn as the task says."""
    where = apples()
    run(where, sampling=Sampling(temperature=0.5))
    assert {request.sampling.temperature for request in where.engine.requests} == {0.5}


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"branch": 0}, "search.branch"), ({"branch": 21}, "search.branch"), ({"vote": "majority"}, "search.vote")],
)
def test_senseless_options_are_refused_by_name(fields, param):
    """Every option is checked and named as the client wrote it."""
    with pytest.raises(InvalidRequest) as refused:
        CotDecodingOptions(**fields)
    assert refused.value.param == param
