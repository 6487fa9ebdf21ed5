"""The scripted twin keeps the promises of the engine port."""

import asyncio
import math
from collections import Counter

import numpy as np
import pytest

from engine.scripted import ScriptedEngine
from engine.scripted_judges import PlainAnswers, mean_probability
from engine.scripted_language import EOS, ScriptedTokenizer
from engine.virtual_time import Deadlock, run_virtually
from mcts.ports import NO_TOKEN, Finish, Message, Path, Prompt, SampleRequest, Sampling
from mcts.steps import joined
from tests.mcts.toys import garden, step


def _draw(where, **fields):
    """Continuations of the question."""
    request = SampleRequest(where.prompt.token_ids, **({"seed": 3} | fields))
    return asyncio.run(where.engine.sample(request))


def test_probabilities_are_as_declared():
    """Of 2000 samples 70 % begin with A, within four standard deviations."""
    counts = Counter(one.text[0] for one in _draw(garden(), n=2000))
    assert abs(counts["A"] / 2000 - 0.7) < 4 * math.sqrt(0.7 * 0.3 / 2000)


def test_continuation_i_uses_seed_plus_i():
    """One call for many is many calls for one."""
    where = garden()
    many = [one.text for one in _draw(where, n=6, seed=10)]
    assert many == [_draw(where, seed=10 + i)[0].text for i in range(6)]


def test_log_probabilities_are_the_models_own():
    """Temperature changes what is drawn, not what is reported; alternatives are sorted and padded."""
    (one,) = _draw(garden(), sampling=Sampling(temperature=0), top_logprobs=3)
    assert one.logprobs[0] == pytest.approx(math.log(0.7))
    assert one.top_logprobs[0] == pytest.approx([math.log(0.7), math.log(0.3), -math.inf])
    assert one.top_ids[0][2] == NO_TOKEN
    assert one.top_ids.shape == (3, 3)


def test_every_ending_is_told():
    """End of sequence, delimiter, length and stop string, each with its text and tokens."""
    greedy = Sampling(temperature=0)
    whole = _draw(garden(), sampling=greedy)[0]
    assert (whole.finish, whole.text, whole.token_ids[-1]) == (Finish.EOS, "A\n\nanswer: 1", EOS)
    assert whole.offsets.tolist() == [3, 12, 12]
    one = _draw(garden(), sampling=greedy, delimiters=("\n\n",))[0]
    assert (one.finish, one.text) == (Finish.DELIMITER, "A\n\n")
    short = _draw(garden(), sampling=greedy, max_tokens=1)[0]
    assert (short.finish, len(short.token_ids)) == (Finish.LENGTH, 1)
    stopped = _draw(garden(), sampling=Sampling(temperature=0, stop=("wer",)))[0]
    assert (stopped.finish, stopped.stop, stopped.text) == (Finish.STOP, "wer", "A\n\nans")
    kept = _draw(garden(), sampling=Sampling(temperature=0, stop=("wer",), include_stop=True))[0]
    assert kept.text == "A\n\nanswer"


def test_a_stream_joined_is_the_sample():
    """Pieces hold new text only and add up to what sample gives."""
    where = garden()
    request = SampleRequest(where.prompt.token_ids, seed=5, top_logprobs=2)

    async def main():
        return [piece async for piece in where.engine.stream(request)]

    pieces = asyncio.run(main())
    whole, both = asyncio.run(where.engine.sample(request))[0], joined(pieces)
    assert (both.token_ids, both.text, both.finish) == (whole.token_ids, whole.text, whole.finish)
    np.testing.assert_array_equal(both.offsets, whole.offsets)
    np.testing.assert_array_equal(both.top_ids, whole.top_ids)
    assert [piece.finish for piece in pieces[:-1]] == [None] * (len(pieces) - 1)


def test_a_text_cut_anywhere_goes_on_as_declared():
    """The default script, whose pieces are many tokens, continues from the middle of a piece."""
    engine = ScriptedEngine()
    prompt = tuple(engine.tokenizer.render([Message("user", "What is 2 and 3?")]))
    whole = asyncio.run(engine.sample(SampleRequest(prompt, seed=1)))[0]
    assert whole.text.startswith("You asked: What is 2 and 3?\n\n")
    assert PlainAnswers().extract(whole.text) in {"4", "5", "6"}
    for cut in (1, 10, 40):
        rest = asyncio.run(engine.sample(SampleRequest((*prompt, *whole.token_ids[:cut]), seed=1)))[0]
        assert rest.text[:5] == whole.text[cut : cut + 5]


def test_text_it_knows_nothing_about_ends():
    """Where the script says nothing the sequence ends."""
    engine = ScriptedEngine()
    prompt = tuple(engine.tokenizer.render([Message("user", "Hi")]))
    foreign = (*prompt, *engine.tokenizer.encode("Something else"))
    assert asyncio.run(engine.sample(SampleRequest(foreign, seed=1)))[0].token_ids == (EOS,)


@pytest.mark.parametrize("text", ["", "Hello", "你好 🌳\n\n", "<user>Hi<assistant>", "a<b>c", "\\boxed{7}"])
def test_decoding_what_was_encoded_gives_the_text(text):
    """The tokenizer loses nothing; special tokens are recognised."""
    tokenizer = ScriptedTokenizer(("Hel", "Hello", "\n\n"))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode("Hello<eos>")) == 2


@pytest.mark.parametrize("token", [4, 15, 18, 99_999, 100_000 + 0xD800, 100_000 + 0x110000, 2**31 - 1])
def test_an_id_that_is_no_tokens_has_a_mark_for_its_text(token):
    """Text that can be encoded, whatever ids a client sends."""
    assert ScriptedTokenizer(("Hel", "Hello")).decode([1, token, 2]) == "<system>\ufffd<user>"


def test_a_chat_ends_with_the_assistants_turn():
    """Rendering opens the assistant's turn, or leaves its last message open."""
    tokenizer = ScriptedTokenizer()
    chat = [Message("system", "s"), Message("user", "u")]
    assert tokenizer.decode(tokenizer.render(chat)) == "<system>s<user>u<assistant>"
    opened = tokenizer.render([*chat, Message("assistant", "So")], continue_final=True)
    assert tokenizer.decode(opened) == "<system>s<user>u<assistant>So"


def test_cancelled_calls_are_counted():
    """Open and aborted calls can be seen from outside."""
    where = garden(latency=lambda *_: 5.0)

    async def main():
        call = asyncio.create_task(where.engine.sample(SampleRequest(where.prompt.token_ids)))
        await asyncio.sleep(1)
        assert where.engine.open_calls == 1
        call.cancel()
        await asyncio.wait([call])

    run_virtually(main)
    assert (where.engine.open_calls, where.engine.aborted_calls, where.engine.generated_tokens) == (0, 1, 0)


def test_virtual_time_jumps_to_the_next_timer():
    """An hour passes at once, and waiting for nothing is an error rather than a hanging test."""

    async def hour():
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run_virtually(hour) == pytest.approx(3600)

    async def nothing():
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        run_virtually(nothing)


def test_the_scripted_reward_reads_the_tokens_under_evaluation():
    """Without a declared worth a path is worth the mean probability of its tokens."""
    path = Path(Prompt(()), (step(1, logprob=math.log(0.5)), step(2, logprob=math.log(0.9))), scored_from=1)
    assert mean_probability(path) == pytest.approx(0.9)
