"""``/v1/searches``: lists, pages, filters, single traces, while searches run and by whom they may be seen."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from engine.scripted import ScriptedEngine
from server.schemas.trace import SearchList, SearchTrace
from tests.server.service import CHATS, Service, listening, serving, until
from tests.server.traces import replayed_tree, told_tree


async def page(service: Service, **query: Any) -> dict[str, Any]:
    """One page of the list."""
    reply = await service.client.get("/v1/searches", params=query)
    assert reply.status_code == 200, reply.text
    SearchList.model_validate(reply.json())
    return dict(reply.json())


async def asked(service: Service, *models: str) -> list[str]:
    """Asks each model once; the ids of the searches."""
    return [(await service.answer(model=f"abacus:{model}"))["search"]["id"] for model in models]


async def test_pages_follow_each_other(service: Service) -> None:
    """The latest first; ``after`` goes on behind a search, also when later ones have come meanwhile."""
    ids = await asked(service, *["direct"] * 5)
    first = await page(service, limit=2)
    assert ([each["id"] for each in first["data"]], first["has_more"]) == ([ids[4], ids[3]], True)
    await asked(service, "direct")
    second = await page(service, limit=2, after=ids[3])
    assert ([each["id"] for each in second["data"]], second["has_more"]) == ([ids[2], ids[1]], True)
    third = await page(service, limit=2, after=ids[1])
    assert ([each["id"] for each in third["data"]], third["has_more"]) == ([ids[0]], False)
    assert (await page(service, after=ids[0])) == {"object": "list", "data": [], "has_more": False}


async def test_lists_are_filtered(service: Service) -> None:
    """By strategy, by why a search ended, by where it stands, and by several at once."""
    direct, tree, votes = await asked(service, "direct", "uct", "majority")
    assert [each["id"] for each in (await page(service, strategy="uct"))["data"]] == [tree]
    reasons = {each["id"]: each["stop_reason"] for each in (await page(service))["data"]}
    for reason in set(reasons.values()):
        found = [each["id"] for each in (await page(service, stop_reason=reason))["data"]]
        assert found == [each for each in (votes, tree, direct) if reasons[each] == reason]
    assert [each["id"] for each in (await page(service, state="finished", strategy="majority"))["data"]] == [votes]
    assert (await page(service, state="running"))["data"] == []
    more = await page(service, strategy="direct", limit=1)
    assert not more["has_more"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"strategy": "magic"}, "strategy"),
        ({"stop_reason": "boredom"}, "stop_reason"),
        ({"state": "asleep"}, "state"),
        ({"after": "nothing"}, "after"),
        ({"after": ""}, "after"),
        ({"after": "x" * 201}, "after"),
        ({"page": 2}, "page"),
    ],
)
async def test_wrong_queries_are_refused_by_name(service: Service, query: dict[str, Any], param: str) -> None:
    """A 400 in the one error shape, which names the parameter."""
    reply = await service.client.get("/v1/searches", params=query)
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["param"] == param
    assert param in reply.json()["error"]["message"]


@pytest.mark.parametrize("name", ["search-none", "x" * 5000, "%00", "..%2F..", "%F0%9F%8C%B3"])
async def test_unknown_searches_are_404(service: Service, name: str) -> None:
    """In the one error shape, whatever is asked for."""
    reply = await service.client.get(f"/v1/searches/{name}")
    assert reply.status_code == 404
    error = reply.json()["error"]
    assert error["code"] in {"search_not_found", "not_found"}
    assert len(error["message"]) < 300


async def test_a_running_search_can_be_watched() -> None:
    """Its trace grows: the state is running, nothing has won, and what is there can be replayed."""
    gate = asyncio.Event()

    async def sleep(seconds: float) -> None:
        if seconds > 0:
            await gate.wait()

    engine = ScriptedEngine(latency=lambda _, call: float(call >= 2), sleep=sleep)
    async with serving(engine) as service:
        body = {"messages": [{"role": "user", "content": "1 + 2"}], "search": {"width": 1}}
        reply = asyncio.create_task(service.client.post(CHATS, json=body))
        await until(lambda: engine.open_calls == 1 and engine.calls == 3)
        (listed,) = (await page(service, state="running"))["data"]
        trace = (await service.client.get(f"/v1/searches/{listed['id']}")).json()
        SearchTrace.model_validate(trace)
        assert (trace["state"], trace["stop_reason"], trace["answer"], trace["votes"]) == ("running", None, None, [])
        assert trace["simulations"] >= 1
        assert trace["candidates"]
        assert len(trace["tree"]) == trace["nodes"] > 1
        assert replayed_tree(trace) == told_tree(trace)
        assert not any(node["winning"] for node in trace["tree"])
        gate.set()
        answered = (await reply).json()
        assert answered["search"]["id"] == listed["id"]
        ended = (await service.client.get(f"/v1/searches/{listed['id']}")).json()
        assert ended["state"] == "finished"
        assert ended["events"][: len(trace["events"])] == trace["events"]
        assert (await page(service, state="running"))["data"] == []


async def test_a_cancelled_search_leaves_its_trace() -> None:
    """A client that went away: what was grown until then, cancelled."""
    async with listening(ScriptedEngine(latency=lambda _, call: 30.0 * (call >= 2))) as service:
        with pytest.raises(httpx.ReadTimeout):
            await service.client.post(CHATS, json={"messages": [{"role": "user", "content": "1 + 2"}]}, timeout=0.3)
        await until(lambda: service.engine.open_calls == 0)
        (listed,) = (await page(service))["data"]
        assert (listed["state"], listed["stop_reason"], listed["error"]) == ("cancelled", "cancelled", None)
        trace = (await service.client.get(f"/v1/searches/{listed['id']}")).json()
        SearchTrace.model_validate(trace)
        assert trace["question"] == "1 + 2"
        assert replayed_tree(trace) == told_tree(trace)


async def test_a_deadline_without_an_answer_is_a_failed_search() -> None:
    """It has a reason and the code of the reply."""
    async with serving(ScriptedEngine(latency=lambda _, __: 5.0)) as service:
        await service.refusal(504, search={"budget": {"seconds": 0.05}})
        (listed,) = (await page(service))["data"]
        assert (listed["state"], listed["stop_reason"]) == ("failed", "deadline")
        assert listed["error"]["code"] == "no_answer_in_time"
        assert listed["budget"]["seconds"] == 0.05


async def test_streams_and_plain_completions_leave_traces_too(service: Service) -> None:
    """The id in the summary opens each; the prompt of a completion stands as text."""
    chunks = await service.stream()
    (summary,) = [chunk["search"] for chunk in chunks if isinstance(chunk, dict) and chunk.get("search")]
    assert (await service.client.get(f"/v1/searches/{summary['id']}")).json()["messages"][0]["role"] == "user"
    reply = await service.client.post(
        "/v1/completions", json={"prompt": ["<user>1 2<assistant>", "<user>3<assistant>"]}
    )
    for prompt, search in zip(("<user>1 2<assistant>", "<user>3<assistant>"), reply.json()["searches"], strict=True):
        trace = (await service.client.get(f"/v1/searches/{search['id']}")).json()
        assert (trace["prompt"], trace["messages"]) == (prompt, None)
        assert trace["request_id"] == reply.json()["id"]


async def test_keys_protect_traces_and_each_key_sees_its_own() -> None:
    """Without a key 401; with another key the search is not there."""
    async with serving(api_key=["first", "second"]) as service:
        first, second = ({"Authorization": f"Bearer {key}"} for key in ("first", "second"))
        body = {"messages": [{"role": "user", "content": "1"}], "model": "abacus:direct"}
        reply = await service.client.post(CHATS, json=body, headers=first)
        path = f"/v1/searches/{reply.json()['search']['id']}"
        for closed in ("/v1/searches", path):
            assert (await service.client.get(closed)).status_code == 401
        assert (await service.client.get(path, headers=first)).status_code == 200
        assert (await service.client.get(path, headers=second)).status_code == 404
        assert len((await service.client.get("/v1/searches", headers=first)).json()["data"]) == 1
        assert (await service.client.get("/v1/searches", headers=second)).json()["data"] == []


async def test_traces_can_be_read_while_the_server_drains(service: Service) -> None:
    """Whoever watches the end of a server still sees what it did."""
    (search,) = await asked(service, "direct")
    service.runtime.drain()
    assert (await service.client.get(f"/v1/searches/{search}")).status_code == 200
    assert len((await page(service))["data"]) == 1
