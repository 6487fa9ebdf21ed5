"""What the real vLLM server answered, read; and the fake server held to its shapes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.remote.losses import Fault, Lost, status_error
from engine.remote.pooling import read_pooling
from engine.remote.reading import ChoiceReader, Stops
from engine.tokenizer import HFTokenizer
from engine.transcript import Transcript
from mcts.checks import check_continuation, check_whole
from mcts.errors import InvalidRequest
from mcts.ports import Continuation, Finish
from tests.engine.fake_vllm import FakeVllm, fakes
from tests.engine.recording import GOLDEN, requests
from tests.engine.remote_fleet import EOS, ask, engine


def recorded(name: str) -> dict[str, Any]:
    """One recording: what was asked, and the reply."""
    found: dict[str, Any] = json.loads((Path(GOLDEN) / f"vllm_{name}.json").read_text(encoding="utf-8"))
    return found


def events(name: str) -> list[dict[str, Any]]:
    """The events of a recorded stream."""
    lines = recorded(name)["body"].split("\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line and "[DONE]" not in line]


def read(tokenizer: HFTokenizer, name: str) -> list[Continuation]:
    """A recorded stream as continuations."""
    request = requests(tokenizer)[name]
    readers = [ChoiceReader(request, Transcript(tokenizer, request.prefix), frozenset({EOS})) for _ in range(request.n)]
    for event in events(f"stream_{name}"):
        for choice in event["choices"]:
            readers[choice["index"]].add(choice, Stops())
    drawn = [reader.last(0) for reader in readers]
    for continuation in drawn:
        check_continuation(continuation, request)
        check_whole(continuation)
    return drawn


ENDINGS = [
    ("length", Finish.LENGTH, None),
    ("step", Finish.DELIMITER, None),
    ("stop", Finish.STOP, "2"),
    ("hot", Finish.LENGTH, None),
]


@pytest.mark.parametrize(("name", "finish", "stop"), ENDINGS)
def test_recorded_endings_are_told_apart(tokenizer: HFTokenizer, name: str, finish: Finish, stop: object) -> None:
    """Length, a step's delimiter and a client's stop string, each as the engine in process gives it."""
    (reply,) = read(tokenizer, name)
    assert (reply.finish, reply.stop) == (finish, stop)
    assert reply.text.endswith("\n\n") == (name == "step")
    assert ("2" in reply.text) is (name not in {"stop", "length"})


def test_the_recorded_text_is_the_servers(tokenizer: HFTokenizer) -> None:
    """Our text of the tokens is what the server itself wrote, for both continuations of one call."""
    for index, reply in enumerate(read(tokenizer, "two")):
        theirs = [choice for event in events("stream_two") for choice in event["choices"] if choice["index"] == index]
        assert reply.text == "".join(choice["text"] for choice in theirs)
        assert list(reply.token_ids) == [token for choice in theirs for token in choice["token_ids"]]
        assert reply.finish is Finish.EOS


def test_recorded_alternatives_are_the_likeliest_without_the_chosen(tokenizer: HFTokenizer) -> None:
    """Vllm lists the chosen token first and then the likeliest: one that is not among them is left out of them."""
    (reply,) = read(tokenizer, "hot")  # temperature 2: many tokens lie outside the top two
    outside = np.array([token not in row for token, row in zip(reply.token_ids, reply.top_ids, strict=True)])
    assert outside.any()
    assert not outside.all()
    assert (np.diff(reply.top_logprobs, axis=1) <= 0).all()
    assert (reply.logprobs[outside] <= reply.top_logprobs[outside, -1]).all()
    first = events("stream_hot")[0]["choices"][0]["logprobs"]
    assert reply.logprobs[0] == pytest.approx(first["token_logprobs"][0])


def test_a_recorded_form_is_json(tokenizer: HFTokenizer) -> None:
    """Structured outputs pass through the wire."""
    (reply,) = read(tokenizer, "form")
    assert reply.finish is Finish.LENGTH or isinstance(json.loads(reply.text)["answer"], int)


@pytest.mark.parametrize("name", ["too_long", "bad_field", "no_model"])
def test_recorded_refusals_are_the_requests_fault(name: str) -> None:
    """400 and 404 put no server out, and what vLLM said is passed on."""
    reply = recorded(name)
    error = status_error(reply["status"], reply["body"].encode(), "engine_api_key")
    assert isinstance(error, InvalidRequest)
    assert json.loads(reply["body"])["error"]["message"][:40] in str(error)


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (500, b"", Fault.SHAKY),
        (502, b"<html>", Fault.GONE),
        (503, b'{"error": {"type": "QueueOverflow"}}', Fault.BUSY),
        (503, b'{"error": "gone"}', Fault.GONE),
        (429, b"[]", Fault.BUSY),
        (403, b"7", Fault.GONE),
    ],
)
def test_every_status_has_its_meaning(status: int, body: bytes, fault: Fault) -> None:
    """As the table of ``losses`` says, whatever the body is."""
    error = status_error(status, body, "engine_api_key")
    assert isinstance(error, Lost)
    assert error.fault is fault


def test_recorded_scores_are_read() -> None:
    """One row of two probabilities for the one step tag."""
    scores = read_pooling(json.loads(recorded("pooling")["body"]))
    assert scores.shape == (1, 2)
    assert math.isclose(float(scores.sum()), 1.0, abs_tol=1e-5)


def shape(value: Any) -> Any:
    """The names and kinds of a JSON value; null, and what only some replies have, are left out."""
    extras = {"system_fingerprint", "service_tier", "prompt_token_ids", "prompt_logprobs", "completion_tokens_details"}
    if isinstance(value, dict):
        plain = all(not key.startswith("token_id:") for key in value)
        kept = {key: shape(entry) for key, entry in value.items() if key not in extras and entry is not None}
        return kept if plain else {"token_id:": "float"}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


async def test_the_fake_server_has_the_real_ones_shapes(tokenizer: HFTokenizer) -> None:
    """What the other tests rely on: the fake's events have the names and kinds that were recorded."""
    server, sent = FakeVllm(tokenizer), []
    async with fakes(server), engine(tokenizer, server) as remote:
        request = ask(tokenizer, top_logprobs=5)
        events_of = remote.fleet.wire.events
        remote.fleet.wire.events = lambda *how: _kept(events_of(*how), sent)  # type: ignore[method-assign]
        await remote.sample(request)
    real = events("stream_two")
    assert shape(sent[0]) == shape(real[0])
    assert shape(sent[-2]) == shape([event for event in real if event["choices"]][-1])
    assert shape(sent[-1]) == shape(real[-1])


async def _kept(events: Any, sent: list[dict[str, Any]]) -> Any:
    async for event in events:
        sent.append(event)
        yield event
