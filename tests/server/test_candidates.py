"""Candidates in the summary, over HTTP."""

from __future__ import annotations

import pytest

from tests.server.service import Service


async def test_candidates_are_listed_on_request(service: Service) -> None:
    """One entry per sample, with all that a vote looks at; the answer is among them."""
    reply = await service.answer(search={"strategy": "best_of_n", "reward": "prm", "samples": 3, "candidates": True})
    found = reply["search"]["candidates"]
    assert len(found) == 3
    assert all(set(one) == {"text", "answer", "reward", "visits", "finished"} for one in found)
    assert [one["reward"] for one in found] == [0.5] * 3
    assert reply["choices"][0]["message"]["content"] in [one["text"] for one in found]


@pytest.mark.parametrize("candidates", [..., False])
async def test_candidates_are_not_listed_unasked(service: Service, candidates: object) -> None:
    """They can be long, so by default the field is null."""
    search = {"strategy": "majority", "samples": 2} | ({} if candidates is ... else {"candidates": candidates})
    assert (await service.answer(search=search))["search"]["candidates"] is None


async def test_a_streamed_summary_lists_them_too(service: Service) -> None:
    """The last chunk carries the same summary."""
    events = await service.stream(search={"strategy": "uct", "budget": {"simulations": 2}, "candidates": True})
    (summary,) = [event["search"] for event in events if isinstance(event, dict) and event.get("search")]
    assert summary["candidates"]
    assert all(one["visits"] >= 1 for one in summary["candidates"])
