"""Plain (not streamed) chats."""

from __future__ import annotations

import re

import pytest

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward
from engine.scripted_language import END, ScriptedTokenizer, pieces_of, script_from
from mcts.errors import EngineCallFailed, EngineDead
from tests.server.service import CHATS, Service, backend, serving

TABLE = {
    "": [("One.\n\n", 0.5), ("Two.\n\n", 0.5)],
    "One.\n\n": [("answer: 1", 1.0)],
    "Two.\n\n": [("answer: 2", 1.0)],
    "One.\n\nanswer: 1": [(END, 1.0)],
    "Two.\n\nanswer: 2": [(END, 1.0)],
}


def table_engine() -> ScriptedEngine:
    """An engine whose steps are single tokens, so that usage can be counted by hand."""
    return ScriptedEngine(script_from(TABLE), ScriptedTokenizer(pieces_of(TABLE)))


async def test_a_chat_gets_an_answer_found_by_search(service: Service) -> None:
    """The plain model name runs tree search and answers in OpenAI's shape."""
    reply = await service.answer()
    choice = reply["choices"][0]
    assert reply["object"] == "chat.completion"
    assert reply["model"] == "abacus"
    assert choice["index"] == 0
    assert choice["message"]["role"] == "assistant"
    assert "\\boxed{" in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"
    assert reply["search"]["strategy"] == "uct"


async def test_usage_counts_the_prompt_once_and_every_generated_token() -> None:
    """Completion tokens are all generated ones; those outside the answer are reasoning tokens."""
    async with serving(table_engine()) as service:
        reply = await service.answer("hm", search={"strategy": "majority", "samples": 5, "adaptive": False})
    usage = reply["usage"]
    assert usage["prompt_tokens"] == len("hm") + 2  # one token a character, and two for the roles
    assert usage["completion_tokens"] == 5 * 3  # a step, the answer and the end, five times
    assert usage["total_tokens"] == usage["prompt_tokens"] + 15
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 15 - 3
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0


async def test_the_summary_tells_what_the_search_did() -> None:
    """The search object names strategy, votes and costs."""
    async with serving(table_engine()) as service:
        search = (await service.answer(search={"strategy": "majority", "samples": 7, "adaptive": False}))["search"]
    assert search["strategy"] == "majority"
    assert search["vote"] == "majority"
    assert search["reward"] is None
    assert search["simulations"] == 7
    assert sum(vote["count"] for vote in search["votes"]) == 7
    assert search["stop_reason"] == "simulations"
    assert search["tokens"] == {"generated": 21, "answer": 3, "cached": 0}
    assert search["engine_calls"] == 7


async def test_the_vote_follows_the_reward() -> None:
    """Best-of-N gives the answer that the reward likes best."""
    engine = table_engine()
    reward = ScriptedReward(worth=lambda path: 0.9 if "Two" in path.text else 0.1)
    async with serving(engine, made=backend(engine, reward)) as service:
        reply = await service.answer(search={"strategy": "best_of_n", "samples": 16, "reward": "prm"})
    assert reply["choices"][0]["message"]["content"] == "Two.\n\nanswer: 2"
    assert reply["search"]["value"] == 0.9


async def test_n_gives_the_best_distinct_answers() -> None:
    """With n the winners have different answers and indices from 0."""
    async with serving(table_engine()) as service:
        reply = await service.answer(n=2, search={"strategy": "majority", "samples": 16})
    texts = {choice["message"]["content"][-1] for choice in reply["choices"]}
    assert texts == {"1", "2"}
    assert [choice["index"] for choice in reply["choices"]] == [0, 1]


async def test_direct_decoding_is_a_preset(service: Service) -> None:
    """The direct preset makes one call and reasons with no token."""
    reply = await service.answer(model="abacus:direct")
    assert reply["model"] == "abacus:direct"
    assert reply["search"]["engine_calls"] == 1
    assert reply["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


@pytest.mark.parametrize(
    "preset",
    [
        "majority",
        "best-of-n",
        "weighted-best-of-n",
        "uct",
        "uct-mini-32",
        "marco-o1",
        "beam",
        "dvts",
        "rebase",
        "particle",
        "search-and-learn",
        "search-and-learn-dvts",
    ],
)
async def test_every_preset_answers(service: Service, preset: str) -> None:
    """Each preset runs as a model name."""
    reply = await service.answer(model=f"abacus:{preset}", search={"budget": {"tokens": 20_000}})
    assert reply["choices"][0]["message"]["content"]


async def test_reflection_lets_the_model_reconsider() -> None:
    """With reflection the phrase is put in by the server and not counted as generated."""
    table = {
        **TABLE,
        "One.\n\nanswer: 1\n\nHm.\n\n": [("answer: 2", 1.0)],
        "One.\n\nanswer: 1\n\nHm.\n\nanswer: 2": [(END, 1.0)],
    }
    engine = ScriptedEngine(script_from(table), ScriptedTokenizer(pieces_of(table)))
    reward = ScriptedReward(worth=lambda path: 1.0 if "Hm." in path.text else 0.1)
    async with serving(engine, made=backend(engine, reward)) as service:
        search = {"reflection": "Hm.", "vote": "max_value", "budget": {"simulations": 8}}
        reply = await service.answer(search=search, seed=1)
    assert "Hm." in reply["choices"][0]["message"]["content"]
    assert reply["usage"]["completion_tokens"] == engine.generated_tokens


async def test_a_token_limit_ends_with_length(service: Service) -> None:
    """An answer cut by max_tokens says so."""
    reply = await service.answer(model="abacus:direct", max_tokens=3)
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 3


async def test_a_stop_text_is_cut_off(service: Service) -> None:
    """The answer ends before a stop text, with finish reason stop."""
    reply = await service.answer(model="abacus:direct", stop="asked")
    assert reply["choices"][0]["message"]["content"] == "You "
    assert reply["choices"][0]["finish_reason"] == "stop"


async def test_logprobs_are_those_of_the_winning_path() -> None:
    """Each token of the answer has its logprob, bytes and alternatives, the end of sequence excepted."""
    async with serving(table_engine()) as service:
        reply = await service.answer(model="abacus:direct", logprobs=True, top_logprobs=2)
    choice = reply["choices"][0]
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
    assert tokens[0]["logprob"] == pytest.approx(-0.6931, abs=1e-3)  # ln 0.5
    assert {alternative["token"] for alternative in tokens[0]["top_logprobs"]} == {"One.\n\n", "Two.\n\n"}
    assert bytes(tokens[0]["bytes"]).decode() == tokens[0]["token"]


async def test_prefill_is_continued_and_not_repeated(service: Service) -> None:
    """With continue_final_message the answer goes on from the assistant's words."""
    messages = [{"role": "user", "content": "1 and 2"}, {"role": "assistant", "content": "You asked: 1 and 2\n\n"}]
    body = {"messages": messages, "continue_final_message": True, "model": "abacus:direct"}
    reply = (await service.client.post(CHATS, json=body)).json()
    assert re.match(r"Let me check|So it is simple", reply["choices"][0]["message"]["content"])


async def test_multi_turn_chats_and_text_parts_are_read(service: Service) -> None:
    """System turns, earlier turns and parts reach the prompt."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1 and 1"},
        {"role": "assistant", "content": "2", "refusal": None, "reasoning": "hm", "tool_calls": None},
        {"role": "user", "content": [{"type": "text", "text": "4 and "}, {"type": "text", "text": "5"}]},
    ]
    reply = (await service.client.post(CHATS, json={"messages": messages, "model": "abacus:direct"})).json()
    assert "You asked: 4 and 5" in reply["choices"][0]["message"]["content"]


@pytest.mark.parametrize("question", ["", " ", "日本語 + 😀 = ?", "\u0000", "a" * 300, "<|im_end|>", "e\u0301"])
async def test_any_text_can_be_asked(service: Service, question: str) -> None:
    """Empty, foreign, strange and long questions are answered like any other."""
    await service.answer(question, model="abacus:direct")


async def test_the_same_seed_gives_the_same_reply(service: Service) -> None:
    """Seed and width 1 fix the answer and the tree."""
    fields = {"seed": 7, "search": {"width": 1}}
    first, second = await service.answer(**fields), await service.answer(**fields)
    assert first["choices"] == second["choices"]
    assert first["search"]["votes"] == second["search"]["votes"]


async def test_ids_follow_a_safe_request_id(service: Service) -> None:
    """A safe X-Request-Id names the completion and is echoed; an unsafe one is replaced."""
    body = {"messages": [{"role": "user", "content": "1"}], "model": "abacus:direct"}
    safe = await service.client.post(CHATS, json=body, headers={"X-Request-Id": "a-1.b_2"})
    assert safe.headers["x-request-id"] == "a-1.b_2"
    assert safe.json()["id"] == "chatcmpl-a-1.b_2"
    unsafe = await service.client.post(CHATS, json=body, headers={"X-Request-Id": "a b\\n<c>"})
    assert re.fullmatch(r"[0-9a-f]{32}", unsafe.headers["x-request-id"])


async def test_two_searches_never_share_an_id(service: Service) -> None:
    """Search ids are unique even when clients repeat a request id."""
    body = {"messages": [{"role": "user", "content": "1"}], "model": "abacus:direct"}
    replies = [await service.client.post(CHATS, json=body, headers={"X-Request-Id": "same"}) for _ in range(2)]
    assert len({reply.json()["search"]["id"] for reply in replies}) == 2


@pytest.mark.parametrize("error", [EngineCallFailed("the call failed"), EngineDead("the engine is gone")])
async def test_an_engine_that_fails_gives_503(error: Exception) -> None:
    """A failed engine is the server's fault, said in the error shape."""
    async with serving(ScriptedEngine(failure=lambda _, __: error)) as service:
        told = await service.refusal(503)
        assert told == {
            "message": str(error),
            "type": "service_unavailable_error",
            "param": None,
            "code": "engine_failed",
        }
        assert service.runtime.admission.running == 0


async def test_a_deadline_without_any_answer_gives_504_and_asks_not_to_retry() -> None:
    """When nothing was found in time the error says so and SDKs do not repeat the search."""
    async with serving(ScriptedEngine(latency=lambda _, __: 5.0)) as service:
        reply = await service.ask(search={"budget": {"seconds": 0.05}})
    assert reply.status_code == 504
    assert reply.json()["error"]["code"] == "no_answer_in_time"
    assert reply.headers["x-should-retry"] == "false"


async def test_a_deadline_gives_the_best_answer_so_far() -> None:
    """What was found before the deadline is the answer."""
    engine = ScriptedEngine(latency=lambda _, number: 0.0 if number < 3 else 30.0)
    async with serving(engine) as service:
        reply = await service.answer(search={"strategy": "majority", "samples": 8, "budget": {"seconds": 0.3}})
    assert reply["search"]["stop_reason"] == "deadline"
    assert engine.open_calls == 0


async def test_an_unexpected_fault_shows_nothing_of_itself() -> None:
    """A bug gives 500 in the error shape, without its text."""

    def explode(_: object, __: int) -> Exception:
        return RuntimeError("secret path /root/key")

    async with serving(ScriptedEngine(failure=explode)) as service:
        reply = await service.ask()
    assert reply.status_code == 500
    assert reply.json()["error"]["type"] == "server_error"
    assert "secret" not in reply.text
    assert len(reply.headers["x-request-id"]) == 32
    assert reply.headers["x-should-retry"] == "false"


async def test_token_ids_must_be_the_models() -> None:
    """Token ids outside the vocabulary are refused before the engine sees them."""
    engine = ScriptedEngine()
    async with serving(engine, made=backend(engine, vocab_size=100)) as service:
        for field in ({"allowed_token_ids": [100]}, {"stop_token_ids": [100]}, {"logit_bias": {"100": 1.0}}):
            assert (await service.refusal(**field))["param"] == next(iter(field))
        await service.answer(model="abacus:direct", stop_token_ids=[99])
