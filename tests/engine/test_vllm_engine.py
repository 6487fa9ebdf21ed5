"""The real generating engine on a tiny random model: endings, arrays, seeds, streams, caching and cancellation."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.pair import EnginePair
from engine.vllm_engine import VllmEngine
from mcts.errors import InvalidRequest, PromptTooLong
from mcts.ports import NO_TOKEN, Continuation, Finish, JsonForm, SampleRequest, Sampling

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

TEXT = "once upon a time in the house of the sun "


@pytest.fixture
def engine(tiny_engines: EnginePair) -> VllmEngine:
    """The generating engine."""
    return tiny_engines.generation


def ask(engine: VllmEngine, text: str = TEXT, **changes: object) -> SampleRequest:
    """A seeded request for 24 tokens after ``text``."""
    sampling = Sampling(temperature=1.0)
    request = SampleRequest(tuple(engine.tokenizer.encode(text)), max_tokens=24, seed=7, sampling=sampling)
    return replace(request, **changes)  # type: ignore[arg-type]


def only(engine: VllmEngine, letters: str, *, eos: float = 0.0) -> Sampling:
    """Sampling that writes nothing but these characters, and the end of sequence with a bias of its own."""
    (eos_id,) = engine.info.eos_ids
    bias = dict.fromkeys(engine.tokenizer.encode(letters), 100.0)
    allowed = tuple(bias) + ((eos_id,) if eos else ())
    return Sampling(allowed_token_ids=allowed, logit_bias={eos_id: eos} if eos else {})


async def one(engine: VllmEngine, request: SampleRequest) -> Continuation:
    """The single continuation of a request."""
    (continuation,) = await engine.sample(request)
    return continuation


async def test_length_ends_at_the_limit(engine: VllmEngine) -> None:
    """A continuation that meets its token limit says so and has exactly that many tokens."""
    reply = await one(engine, ask(engine, sampling=only(engine, "ab")))
    assert (reply.finish, reply.stop, len(reply.token_ids)) == (Finish.LENGTH, None, 24)
    assert reply.text == engine.tokenizer.decode(reply.token_ids)
    assert set(reply.text) <= set("ab")


async def test_eos_is_the_last_token_and_no_text(engine: VllmEngine) -> None:
    """The end-of-sequence token is among the tokens, but not in the text, not even when special tokens are shown."""
    (eos_id,) = engine.info.eos_ids
    for skip in (True, False):
        sampling = replace(only(engine, "ab", eos=100.0), skip_special_tokens=skip)
        reply = await one(engine, ask(engine, sampling=sampling))
        assert reply.finish is Finish.EOS
        assert reply.stop is None
        assert reply.token_ids[-1] == eos_id
        assert reply.text == engine.tokenizer.decode(reply.token_ids[:-1])
        assert reply.offsets[-1] == len(reply.text)


async def test_ignore_eos_writes_on(engine: VllmEngine) -> None:
    """With ``ignore_eos`` only the limit ends a text."""
    sampling = replace(only(engine, "ab", eos=100.0), ignore_eos=True)
    reply = await one(engine, ask(engine, sampling=sampling))
    assert reply.finish is Finish.LENGTH


async def test_min_tokens_delays_the_end(engine: VllmEngine) -> None:
    """No end of sequence before ``min_tokens``."""
    sampling = replace(only(engine, "ab", eos=100.0), min_tokens=9)
    reply = await one(engine, ask(engine, sampling=sampling))
    assert reply.finish is Finish.EOS
    assert len(reply.token_ids) >= 10


async def test_delimiter_stays_in_text_and_tokens(engine: VllmEngine) -> None:
    """A step keeps the delimiter that ended it, so that tokens and text go on where it ends."""
    reply = await one(engine, ask(engine, delimiters=("ba",), max_tokens=200, sampling=only(engine, "ab")))
    assert reply.finish is Finish.DELIMITER
    assert reply.text.endswith("ba")
    assert "ba" not in reply.text[:-2]
    assert reply.text == engine.tokenizer.decode(reply.token_ids)


async def test_client_stop_is_cut_from_the_text(engine: VllmEngine) -> None:
    """A client's stop string is named, cut from the text, and kept in the tokens."""
    sampling = replace(only(engine, "ab"), stop=("bab", "bba"))
    reply = await one(engine, ask(engine, max_tokens=200, sampling=sampling))
    whole = engine.tokenizer.decode(reply.token_ids)
    assert reply.finish is Finish.STOP
    assert reply.stop in {"bab", "bba"}
    assert reply.text + str(reply.stop) == whole
    assert reply.offsets.max() == len(reply.text)
    kept = await one(engine, ask(engine, max_tokens=200, sampling=replace(sampling, include_stop=True)))
    assert kept.text == whole


async def test_stop_and_delimiter_are_told_apart(engine: VllmEngine) -> None:
    """With both at once, whichever is complete first decides; of one and the same string the client's wins."""
    sampling = replace(only(engine, "ab"), stop=("bb",))
    replies = [
        await one(engine, ask(engine, delimiters=("ba",), max_tokens=200, sampling=sampling, seed=seed))
        for seed in range(12)
    ]
    assert {reply.finish for reply in replies} == {Finish.STOP, Finish.DELIMITER}
    for reply in replies:
        assert reply.text.endswith("ba") == (reply.finish is Finish.DELIMITER)
        assert "bb" not in reply.text
    both = await one(engine, ask(engine, delimiters=("bb",), max_tokens=200, sampling=sampling))
    assert (both.finish, both.stop) == (Finish.STOP, "bb")


async def test_stop_token_ends_and_is_cut(engine: VllmEngine) -> None:
    """A client's stop token is named and its text is cut."""
    (stop,) = engine.tokenizer.encode("b")
    reply = await one(engine, ask(engine, max_tokens=200, sampling=replace(only(engine, "ab"), stop_token_ids=(stop,))))
    assert (reply.finish, reply.stop, reply.token_ids[-1]) == (Finish.STOP, stop, stop)
    assert set(reply.text) <= {"a"}


async def test_same_seed_same_text_and_children_use_seed_plus_index(engine: VllmEngine) -> None:
    """Equal requests give equal replies, and continuation i is that of seed + i."""
    first = await engine.sample(ask(engine, n=3))
    again = await engine.sample(ask(engine, n=3))
    alone = [await one(engine, ask(engine, seed=7 + i)) for i in range(3)]
    ids = [reply.token_ids for reply in first]
    assert ids == [reply.token_ids for reply in again] == [reply.token_ids for reply in alone]
    assert len(set(ids)) == 3


async def test_greedy_draws_as_many_as_asked(engine: VllmEngine) -> None:
    """At temperature 0 all continuations are the same, and there are n of them."""
    replies = await engine.sample(ask(engine, n=3, sampling=Sampling(temperature=0.0)))
    assert len({reply.token_ids for reply in replies}) == 1
    assert len(replies) == 3


async def test_negative_and_huge_seeds_are_taken(engine: VllmEngine) -> None:
    """Any integer is a seed."""
    for seed in (-1, 2**64 + 3):
        first, again = [await one(engine, ask(engine, seed=seed)) for _ in range(2)]
        assert first.token_ids == again.token_ids


async def test_log_probabilities_are_the_models_own(engine: VllmEngine, tiny_models: tuple[Path, Path]) -> None:
    """Chosen and top-five log-probabilities equal a plain forward pass, whatever temperature and penalties did."""
    import torch
    from transformers import Qwen2ForCausalLM

    sampling = Sampling(temperature=1.7, top_p=0.9, presence_penalty=1.0)
    reply = await one(engine, ask(engine, top_logprobs=5, sampling=sampling))
    prefix = list(ask(engine).prefix)
    model = Qwen2ForCausalLM.from_pretrained(tiny_models[0])
    with torch.no_grad():
        logits = model(torch.tensor([prefix + list(reply.token_ids)])).logits[0, len(prefix) - 1 : -1]
    expected = torch.log_softmax(logits.float(), -1)
    top = expected.topk(5)
    chosen = expected[range(len(reply.token_ids)), list(reply.token_ids)]
    assert reply.logprobs == pytest.approx(chosen.numpy(), abs=2e-3)
    assert reply.top_logprobs == pytest.approx(top.values.numpy(), abs=2e-3)
    assert (reply.top_ids == top.indices.numpy()).mean() > 0.95  # near ties may swap


async def test_top_arrays_hold_only_the_k_likeliest(engine: VllmEngine) -> None:
    """A chosen token outside the top K is not squeezed in, and K = 0 gives no columns."""
    sampling = Sampling(temperature=2.0)
    reply = await one(engine, ask(engine, top_logprobs=2, max_tokens=60, sampling=sampling))
    assert reply.top_ids.shape == reply.top_logprobs.shape == (60, 2)
    assert (np.diff(reply.top_logprobs, axis=1) <= 0).all()
    outside = [token not in row for token, row in zip(reply.token_ids, reply.top_ids, strict=True)]
    assert any(outside)
    assert (reply.logprobs[outside] <= reply.top_logprobs[outside, -1]).all()
    none = await one(engine, ask(engine))
    assert none.top_ids.shape == (24, 0)
    assert none.logprobs.shape == (24,)
    assert NO_TOKEN not in reply.top_ids


async def test_arrays_have_the_declared_types(engine: VllmEngine) -> None:
    """Log-probabilities are float32, ids and offsets int32."""
    reply = await one(engine, ask(engine, top_logprobs=3))
    assert (reply.logprobs.dtype, reply.top_logprobs.dtype) == (np.float32, np.float32)
    assert (reply.top_ids.dtype, reply.offsets.dtype) == (np.int32, np.int32)


async def test_offsets_follow_the_text(engine: VllmEngine) -> None:
    """Offsets never fall, end at the text's length, and cut it where its tokens do."""
    reply = await one(engine, ask(engine, sampling=only(engine, "abé😀\n\n"), max_tokens=80))
    assert (np.diff(reply.offsets) >= 0).all()
    assert reply.offsets[-1] == len(reply.text)
    for t in range(1, 80):
        begun = engine.tokenizer.decode(reply.token_ids[:t])
        assert begun.startswith(reply.text[: reply.offsets[t - 1]])


@pytest.mark.parametrize("stop", [(), ("bab",), ("zzzz", "ab\n")])
async def test_stream_joined_is_the_sample(engine: VllmEngine, stop: tuple[str, ...]) -> None:
    """The pieces of a stream joined are what ``sample`` gives, and nothing shown is ever taken back."""
    sampling = replace(only(engine, "ab\n"), stop=stop)
    request = ask(engine, sampling=sampling, top_logprobs=2, max_tokens=60)
    whole = await one(engine, request)
    pieces = [piece async for piece in engine.stream(request)]
    assert [piece.finish for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert (pieces[-1].finish, pieces[-1].stop) == (whole.finish, whole.stop)
    assert "".join(piece.text for piece in pieces) == whole.text
    assert tuple(token for piece in pieces for token in piece.token_ids) == whole.token_ids
    bases = np.cumsum([0, *(len(piece.text) for piece in pieces)])
    offsets = np.concatenate([piece.offsets + base for piece, base in zip(pieces, bases, strict=False)])
    assert offsets.tolist() == whole.offsets.tolist()
    assert np.concatenate([piece.top_ids for piece in pieces]).tolist() == whole.top_ids.tolist()
    assert all(len(piece.offsets) == len(piece.token_ids) for piece in pieces)


async def test_shared_prefixes_come_from_the_cache(engine: VllmEngine) -> None:
    """A second call on the same prefix finds its whole blocks of 32 tokens, and says how many."""
    prefix = tuple(engine.tokenizer.encode("a prefix that no other test has, long enough for blocks " * 3))
    cold = await one(engine, ask(engine, prefix=prefix))
    warm = await one(engine, ask(engine, prefix=prefix))
    assert cold.cached_tokens == 0
    assert warm.cached_tokens == (len(prefix) - 1) // 32 * 32 > 0
    assert warm.token_ids == cold.token_ids


async def test_cancelling_aborts_in_the_engine(engine: VllmEngine) -> None:
    """Within 200 ms of a cancelled call the engine has nothing left to do."""
    request = ask(engine, n=4, max_tokens=400, sampling=Sampling(ignore_eos=True))
    task = asyncio.create_task(engine.sample(request))
    while engine.process.busy < 4:
        await asyncio.sleep(0.01)
    began = time.perf_counter()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.process.busy == 0
    assert time.perf_counter() - began < 0.2
    reply = await one(engine, ask(engine))
    assert len(reply.token_ids) == 24


@pytest.mark.parametrize("n", [1, 3])
async def test_a_cancelled_call_tells_how_far_it_was(engine: VllmEngine, n: int) -> None:
    """As many tokens as a stream of the same seed has been seen to be ahead of, and fewer than it wanted."""
    sampling = Sampling(ignore_eos=True)
    request = ask(engine, n=n, max_tokens=400, sampling=sampling)
    stream = engine.stream(ask(engine, max_tokens=400, sampling=sampling))
    task = asyncio.create_task(engine.sample(request))
    while engine.process.busy < n:
        await asyncio.sleep(0)
    seen = 0
    while seen < 20:
        seen += len((await anext(stream)).token_ids)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stream.aclose()  # type: ignore[attr-defined]
    assert 10 * n < request.spent.tokens < 400 * n
    assert engine.process.busy == 0


async def test_closing_a_stream_aborts(engine: VllmEngine) -> None:
    """A reader that stops in the middle leaves nothing running."""
    stream = engine.stream(ask(engine, max_tokens=400, sampling=Sampling(ignore_eos=True)))
    await anext(stream)
    assert engine.process.busy == 1
    await stream.aclose()  # type: ignore[attr-defined]
    assert engine.process.busy == 0


async def test_prompt_that_leaves_no_room_is_refused(engine: VllmEngine) -> None:
    """A prefix of the model's whole context is the client's fault and is not sent; one token less gets one token."""
    limit = engine.info.max_model_len
    with pytest.raises(PromptTooLong, match=f"{limit} tokens"):
        await engine.sample(ask(engine, prefix=(65,) * limit))
    reply = await one(engine, ask(engine, prefix=(65,) * (limit - 1)))
    assert (len(reply.token_ids), reply.finish) == (1, Finish.LENGTH)


async def test_values_that_vllm_refuses_are_the_clients_fault(engine: VllmEngine) -> None:
    """What vLLM's own checks refuse becomes an ``InvalidRequest``, not a failure of the engine."""
    with pytest.raises(InvalidRequest, match="logit_bias"):
        await engine.sample(ask(engine, sampling=Sampling(logit_bias={10**6: 1.0})))
    with pytest.raises(InvalidRequest, match="temperature"):
        await engine.sample(ask(engine, sampling=Sampling(temperature=9.0)))
    assert engine.healthy


async def test_an_answer_can_be_held_to_a_schema(engine: VllmEngine) -> None:
    """Even random weights write JSON that fits, drawn together or streamed."""
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}
    request = ask(engine, max_tokens=64, sampling=Sampling(form=JsonForm(json.dumps(schema))))
    replies = [*await engine.sample(replace(request, n=4)), *[piece async for piece in engine.stream(request)][-1:]]
    texts = [reply.text for reply in replies[:4]]
    texts.append("".join([piece.text async for piece in engine.stream(request)]))
    assert all(json.loads(text) in ({"a": 1}, {"a": 2}) for text in texts)
    assert {reply.finish for reply in replies} == {Finish.EOS}


async def test_no_blanks_are_written_between_the_parts_of_json(engine: VllmEngine) -> None:
    """A model that knows no JSON would write them to its limit: numbers are drawn instead, and the answer ends."""
    properties = {name: {"type": "integer", "minimum": 0, "maximum": 9} for name in "ab"}
    schema = {"type": "object", "properties": properties, "required": ["a", "b"]}  # others are not ruled out by name
    form = Sampling(temperature=1.0, form=JsonForm(json.dumps(schema)))
    replies = await engine.sample(ask(engine, n=8, max_tokens=64, sampling=form))
    assert all(re.fullmatch(r'\{"a":\d,"b":\d\}', reply.text) for reply in replies)


async def test_a_schema_that_cannot_be_compiled_is_the_clients_fault(engine: VllmEngine) -> None:
    """It says so and leaves the engine alive."""
    schema = json.dumps({"type": "string", "pattern": "(?<=a)b"})
    with pytest.raises(InvalidRequest):
        await engine.sample(ask(engine, sampling=Sampling(form=JsonForm(schema))))
    assert engine.healthy


async def test_bad_words_are_not_written(engine: VllmEngine) -> None:
    """A forbidden word does not appear."""
    sampling = replace(only(engine, "ab"), bad_words=("b",))
    reply = await one(engine, ask(engine, sampling=sampling))
    assert set(reply.text) == {"a"}


async def test_many_calls_at_once_keep_their_own_text(engine: VllmEngine) -> None:
    """Concurrent calls get what they would have got alone."""
    requests = [ask(engine, f"{TEXT}{i}", seed=i, sampling=only(engine, "abcdefgh")) for i in range(24)]
    together = await asyncio.gather(*(one(engine, request) for request in requests))
    alone = [await one(engine, request) for request in requests[:3]]
    assert [reply.token_ids for reply in together[:3]] == [reply.token_ids for reply in alone]
    assert len({reply.token_ids for reply in together}) == 24


async def test_more_prompts_than_fit_one_batch_are_read(engine: VllmEngine) -> None:
    """Seeded requests whose prompts together exceed vLLM's batch are all answered, each as it is alone.

    vLLM 0.32 on a CPU dies of a seeded prompt that it reads in pieces, so prompts are never cut.
    """
    requests = [ask(engine, f"{number} {TEXT}{TEXT}", max_tokens=4, seed=number) for number in range(150)]
    assert sum(len(request.prefix) for request in requests) > 8192
    replies = await asyncio.gather(*(one(engine, request) for request in requests))
    assert replies[149].token_ids == (await one(engine, requests[149])).token_ids


async def test_info_tells_the_truth(engine: VllmEngine, tiny_models: tuple[Path, Path]) -> None:
    """What the server shows about the engine is what runs."""
    info = engine.info
    assert (info.model, info.architecture) == (str(tiny_models[0]), "Qwen2ForCausalLM")
    assert (info.max_model_len, info.vocab_size, info.device, info.dtype) == (512, 264, "cpu", "float32")
    assert info.eos_ids == {engine.tokenizer.token_id("<|im_end|>")}
    assert len(engine.process.process_ids) == 1
