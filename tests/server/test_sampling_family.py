"""Chain of thought and the samplers over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward
from engine.scripted_language import script_from
from mcts.strategies.cot import INSTRUCTION
from tests.server.service import Service, backend, serving
from tests.server.test_chat import table_engine
from tests.server.test_streaming import deltas, kinds


def prompt_of(service: Service) -> str:
    """The prompt of the latest call."""
    return service.engine.tokenizer.decode(service.engine.requests[-1].prefix)


async def test_cot_asks_for_the_reasoning_in_the_system_turn(service: Service) -> None:
    """The preset's instruction is rendered by the template; a text of the client's own takes its place."""
    await service.answer("3 and 4", model="abacus:cot")
    assert prompt_of(service) == f"<system>{INSTRUCTION}<user>3 and 4<assistant>"
    reply = await service.answer("三 🌳", search={"strategy": "cot", "instruction": "一步一步想。"})
    assert prompt_of(service) == "<system>一步一步想。<user>三 🌳<assistant>"
    assert reply["usage"]["prompt_tokens"] == len(service.engine.requests[-1].prefix)
    assert (reply["search"]["strategy"], reply["search"]["reward"]) == ("cot", None)


async def test_a_prompt_that_the_instruction_makes_too_long_is_refused() -> None:
    """The instruction counts as prompt before the search begins."""
    async with serving(ScriptedEngine()) as service:
        limit = service.runtime.backend.max_model_len
        question = "x" * (limit - 20)
        assert (await service.ask(question, model="abacus:direct", max_tokens=1)).status_code == 200
        error = await service.refusal(400, question, model="abacus:cot", max_tokens=1)
    assert error["code"] == "context_length_exceeded"


async def test_an_instruction_of_blanks_is_refused_by_name(service: Service) -> None:
    """The option's own check is the client's error."""
    error = await service.refusal(400, search={"strategy": "cot", "instruction": "  "})
    assert error["param"] == "search.instruction"


async def test_cot_streams_its_text_as_it_is_written(service: Service) -> None:
    """As plain decoding: content from the first piece on, no progress lines."""
    events = await service.stream(model="abacus:cot")
    assert set(kinds(events)) == {"role", "content", "finish", "[DONE]"}
    assert kinds(events).count("content") > 1
    assert "boxed" in deltas(events, "content")


async def test_a_vote_that_is_decided_ends_the_search() -> None:
    """Majority stops once its leader cannot be caught, unless it is told not to; the reason is its own."""
    script = script_from({"": [("answer: 1", 1.0)], "answer: 1": [("", 1.0)]})
    async with serving(ScriptedEngine(script, latency=lambda _, number: 0.01 * number)) as service:
        early = (await service.answer(search={"strategy": "majority", "samples": 9}))["search"]
        sure = (await service.answer(model="abacus:majority-adaptive", search={"samples": 9, "width": 1}))["search"]
        whole = (await service.answer(search={"strategy": "majority", "samples": 9, "adaptive": False}))["search"]
    # Of nine equal answers five are certain (the four to come are fewer); four are 31/32 sure.
    assert (early["stop_reason"], early["simulations"]) == ("decided", 5)
    assert (sure["stop_reason"], sure["simulations"]) == ("decided", 4)
    assert (whole["stop_reason"], whole["simulations"]) == ("simulations", 9)


@pytest.mark.parametrize(
    ("vote", "answers", "weights"),
    [
        # Eight samples, four of each answer on average; "Two" is worth 0.9, "One" 0.1.
        ("max_value", ["2", "1"], lambda _: [0.9, 0.1]),
        ("weighted", ["2", "1"], lambda counts: [0.9 * counts["2"], 0.1 * counts["1"]]),
        ("majority", None, lambda counts: sorted(counts.values(), reverse=True)),
    ],
)
async def test_best_of_n_takes_any_vote_and_gives_the_n_best_with_their_weights(vote, answers, weights) -> None:
    """The choices are the distinct answers in the order of ``votes``, which tell their weights."""
    engine = table_engine()
    reward = ScriptedReward(worth=lambda path: 0.9 if "Two" in path.text else 0.1)
    async with serving(engine, made=backend(engine, reward)) as service:
        search = {"strategy": "best_of_n", "samples": 8, "reward": "prm", "vote": vote}
        reply = await service.answer(n=2, search=search, seed=3)
    told = reply["search"]["votes"]
    counts = {each["answer"]: each["count"] for each in told}
    given = [choice["message"]["content"][-1] for choice in reply["choices"]]
    assert sum(counts.values()) == 8
    assert given == [each["answer"] for each in told] == (answers or sorted(counts, key=lambda key: -counts[key]))
    assert [each["weight"] for each in told] == pytest.approx(weights(counts))
    assert (reply["search"]["vote"], reply["search"]["reward_calls"]) == (vote, 8)


@pytest.mark.parametrize(("preset", "reward"), [("best-of-n-confidence", "confidence"), ("best-of-n-prm", "prm")])
async def test_best_of_n_is_a_preset_for_each_reward(service: Service, preset: str, reward: str) -> None:
    """The reward is part of the name."""
    search = (await service.answer(model=f"abacus:{preset}"))["search"]
    assert (search["strategy"], search["reward"], search["vote"]) == ("best_of_n", reward, "max_value")


@pytest.mark.parametrize(
    ("search", "param"),
    [
        ({"strategy": "majority", "certainty": 0.3}, "search.certainty"),
        ({"strategy": "majority", "adaptive": False, "certainty": 0.9}, "search.certainty"),
        ({"strategy": "majority", "width": 65}, "search.width"),  # the server's cap
        ({"strategy": "best_of_n", "vote": "max_visits"}, "search.vote"),
        ({"strategy": "best_of_n", "adaptive": True}, "search.adaptive"),
        ({"strategy": "direct", "instruction": "x"}, "search.instruction"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(service: Service, search: dict[str, Any], param: str) -> None:
    """Nothing is silently ignored."""
    assert (await service.refusal(400, search=search))["param"] == param


async def test_cot_decoding_is_greedy_unless_the_client_says_otherwise() -> None:
    """The published sampling is the strategy's own; a temperature of the client's is honoured."""
    engine = ScriptedEngine()
    async with serving(engine, default_temperature=0.9) as service:
        reply = await service.answer(model="abacus:cot-decoding")
        assert {call.sampling.temperature for call in engine.requests} == {0.0}
        assert (reply["search"]["strategy"], reply["search"]["vote"]) == ("cot_decoding", "weighted")
        engine.requests.clear()
        await service.answer(search={"strategy": "cot_decoding", "branch": 2, "vote": "max_value"}, temperature=0.4)
        assert {call.sampling.temperature for call in engine.requests} == {0.4}


async def test_cot_decoding_streams_progress_and_then_the_answer(service: Service) -> None:
    """As every search: lines first, then content."""
    order = kinds(await service.stream(model="abacus:cot-decoding"))
    assert order[1:-2] == sorted(order[1:-2], reverse=True)
    assert {"reasoning", "content"} <= set(order)
