"""A search's trace: what it tells is what happened, whatever the strategy; without texts it tells no word."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from engine.scripted import ScriptedEngine
from mcts.budget import Budget
from mcts.errors import EngineDead
from mcts.strategies import STRATEGIES, UctOptions
from mcts.tree import Tree
from server.schemas.trace import SearchTrace
from tests.mcts.replay import replayed
from tests.mcts.toys import forest, garden
from tests.server.service import Service, serving
from tests.server.traces import recorded, replayed_tree, strings, told_tree, trace_of

TREELESS = {"direct", "cot", "majority", "best_of_n", "weighted_best_of_n", "cot_decoding"}


async def traced(service: Service, strategy: str, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A reply and the trace of its search."""
    reply = await service.answer(search={"strategy": strategy, **fields}, seed=1)
    got = await service.client.get(f"/v1/searches/{reply['search']['id']}")
    assert got.status_code == 200, got.text
    return reply, got.json()


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
async def test_each_strategy_leaves_a_trace_that_agrees_with_its_reply(service: Service, strategy: str) -> None:
    """The figures, the votes and the winner are the reply's; the shape is the published one."""
    reply, trace = await traced(service, strategy)
    SearchTrace.model_validate(trace)
    search, usage = reply["search"], reply["usage"]
    assert (trace["state"], trace["stop_reason"]) == ("finished", search["stop_reason"])
    assert (trace["strategy"], trace["reward"], trace["vote"]) == (strategy, search["reward"], search["vote"])
    assert trace["request_id"] == reply["id"]
    assert {name: trace[name] for name in ("simulations", "nodes", "depth", "engine_calls", "reward_calls")} == {
        name: search[name] for name in ("simulations", "nodes", "depth", "engine_calls", "reward_calls")
    }
    assert trace["tokens"]["generated"] == usage["completion_tokens"]
    assert trace["tokens"]["prompt"] == usage["prompt_tokens"]
    assert trace["votes"] == search["votes"]
    winner = next(each for each in trace["candidates"] if each["winner"] == 0)
    assert winner["text"] == reply["choices"][0]["message"]["content"]
    assert len(trace["tree"]) == search["nodes"]
    assert (strategy in TREELESS) == (not trace["tree"])
    assert not trace["truncated"]


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - TREELESS))
async def test_the_events_replayed_give_exactly_the_trees_visits_and_values(service: Service, strategy: str) -> None:
    """A viewer that adds up the events comes to the tree that stands beside them, to the last bit."""
    _, trace = await traced(service, strategy)
    assert replayed_tree(trace) == told_tree(trace)
    seconds = [event["seconds"] for event in trace["events"]]
    assert seconds == sorted(seconds)
    born = {node["node"]: node["seconds"] for node in trace["tree"]}
    assert all(node["parent"] is None or born[node["parent"]] <= born[node["node"]] for node in trace["tree"])
    assert [node["node"] for node in trace["tree"]] == list(range(len(trace["tree"])))


@pytest.mark.parametrize("make", [garden, forest])
@pytest.mark.parametrize("width", [1, 8])
def test_the_trace_is_the_tree_that_the_search_grew(monkeypatch: pytest.MonkeyPatch, make: Any, width: int) -> None:
    """Visits, value sums, depths and texts of every node are those of the search's own tree when it ended."""
    trees: list[Tree] = []

    def kept(*args: Any) -> Tree:
        trees.append(Tree(*args))
        return trees[-1]

    monkeypatch.setattr(sys.modules["mcts.strategies.uct"], "Tree", kept)
    where = make()
    recording, result = recorded(where, "uct", UctOptions(width=width), budget=Budget(simulations=12))
    trace = trace_of(recording, where)
    (tree,) = trees
    assert [(each["visits"], each["depth"], each["text"]) for each in trace["tree"]] == [
        (node.visits, node.depth, node.step.text if node.step else "") for node in tree.nodes
    ]
    assert [each["value_sum"] for each in trace["tree"]] == pytest.approx([node.value_sum for node in tree.nodes])
    assert replayed(where.events)["visits"] == trace["tree"][0]["visits"]
    path = [each["node"] for each in trace["tree"] if each["winning"]]
    end = tree.nodes[result.winners[0].node or 0]
    assert path == [node.number for node in end.lineage()][::-1]


async def test_votes_know_their_candidates(service: Service) -> None:
    """Each answer's count is that of the candidates which name it; unfinished ones stand behind none."""
    _, trace = await traced(service, "uct", budget={"simulations": 8})
    behind = [each["vote"] for each in trace["candidates"] if each["finished"]]
    assert [behind.count(place) for place in range(len(trace["votes"]))] == [each["count"] for each in trace["votes"]]
    found = [event for event in trace["events"] if event["type"] == "answer_found"]
    assert [event["candidate"] for event in found] == list(range(len(trace["candidates"])))


async def test_tokens_are_spelled_and_weighed(service: Service) -> None:
    """The tokens of each step join to its text, each with the model's confidence where five alternatives were asked."""
    _, trace = await traced(service, "uct", reward="confidence", budget={"simulations": 4})
    steps = [node for node in trace["tree"] if node["parent"] is not None]
    assert all("".join(node["token_texts"]) == node["text"] for node in steps)
    assert all(len(node["confidences"]) == len(node["token_texts"]) == node["tokens"] for node in steps)
    assert all(0 <= value <= 1 for node in steps for value in node["confidences"])
    _, sampled = await traced(service, "best_of_n", reward="confidence")
    assert all("".join(each["token_texts"]) == each["text"] for each in sampled["candidates"])
    assert all(each["confidences"] for each in sampled["candidates"])


SHAPE = {
    "id", "object", "request_id", "model", "strategy", "reward", "vote", "state", "stop_reason", "code", "type",
    "prior", "selection", "rollout", "expansion", "aggregate", "vote_aggregate", "resampling",
}  # fmt: skip
"""Fields whose strings are words of ours, or names that the client gave in the open."""


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
async def test_without_texts_a_trace_holds_no_word(strategy: str) -> None:
    """No string but names of kinds anywhere, in lists and traces; the numbers are all there."""
    async with serving(trace_texts=False) as service:
        phrase = {"instruction": "Reason in Latin."} if strategy == "cot" else {}
        reply, trace = await traced(service, strategy, **phrase)
        listed = (await service.client.get("/v1/searches")).json()
        SearchTrace.model_validate(trace)
        assert {name for name, _ in strings([trace, listed])} <= SHAPE
        assert trace["texts"] is False
        assert (trace["messages"], trace["prompt"], trace["question"], trace["answer"]) == (None, None, None, None)
        assert [each["count"] for each in trace["votes"]] == [each["count"] for each in reply["search"]["votes"]]
        assert replayed_tree(trace) == told_tree(trace)
        assert all(node["token_texts"] is None for node in trace["tree"])


async def test_reflection_and_delimiters_are_no_words_of_a_trace_without_texts() -> None:
    """Phrases that a client brings along are texts, and so are the tokens of one."""
    async with serving(trace_texts=False) as service:
        search = {"reflection": "Secret doubts?", "step": {"delimiter": "secret"}, "budget": {"simulations": 2}}
        _, trace = await traced(service, "uct", **search)
        assert "ecret" not in str(trace)
        assert "token_ids" not in str(trace)
        assert trace["options"]["step"]["delimiters"] == [None]


async def test_a_failed_search_says_how() -> None:
    """Its code, no winner, what it had done; its message only with texts."""
    for texts in (True, False):
        engine = ScriptedEngine(failure=lambda _, __: EngineDead("The engine is gone."))
        async with serving(engine, trace_texts=texts) as service:
            assert (await service.ask()).status_code == 503
            (listed,) = (await service.client.get("/v1/searches")).json()["data"]
            trace = (await service.client.get(f"/v1/searches/{listed['id']}")).json()
            SearchTrace.model_validate(trace)
            assert (trace["state"], trace["stop_reason"]) == ("failed", "failed")
            assert trace["error"] == {"code": "engine_failed", "message": "The engine is gone." if texts else None}
            assert [node["node"] for node in trace["tree"]] == [0]
            assert trace["engine_calls"] == engine.calls


def test_a_truncated_trace_can_be_replayed() -> None:
    """It is the beginning of the whole one: as many events, the same tree so far; winners are always there."""
    where = forest()
    whole, result = recorded(where, "uct", UctOptions(width=1), budget=Budget(simulations=40))
    cut, _ = recorded(forest(), "uct", UctOptions(width=1), budget=Budget(simulations=40), most=whole.cost // 2)
    trace = trace_of(cut, where)
    assert trace["truncated"]
    assert cut.cost <= whole.cost // 2
    assert 10 < len(trace["tree"]) < result.nodes == trace["nodes"]
    assert trace["simulations"] == result.simulations
    assert replayed_tree(trace) == told_tree(trace)
    everything = trace_of(whole, where)["events"]
    *begun, last = trace["events"]
    assert begun == everything[: len(begun)]
    assert last == everything[-1]  # how it ended
    assert [each["winner"] for each in trace["candidates"]].count(0) == 1


def test_a_prompt_without_room_is_left_out() -> None:
    """A long chat does not make a trace larger than it may be."""
    where = garden()
    recording, _ = recorded(where, "uct", most=100)
    trace = trace_of(recording, where)
    assert trace["truncated"]
    assert trace["messages"] is None
    assert [event["type"] for event in trace["events"]] == ["search_finished"]
