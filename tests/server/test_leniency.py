"""Unknown fields that a setting lets pass."""

from __future__ import annotations

from typing import Any

import pytest

from server.leniency import header_value
from tests.server.service import CHATS, QUESTION, serving

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": QUESTION}], "model": "abacus:direct"}


@pytest.mark.parametrize("stream", [False, True])
async def test_unknown_fields_are_named_in_a_header(stream: bool) -> None:
    """Chats and completions are answered, plain and streamed, and the header tells what was passed over."""
    async with serving(unknown_fields="ignore") as service:
        for path, body in ((CHATS, BODY), ("/v1/completions", {"prompt": "x", "model": "abacus:direct"})):
            reply = await service.client.post(path, json={**body, "stream": stream, "foo": 1, "bar": {}})
            assert reply.status_code == 200, reply.text
            assert reply.headers["x-espalier-ignored"] == "foo, bar"
            again = await service.client.post(path, json=body)
            assert "x-espalier-ignored" not in again.headers  # nothing is carried over from request to request


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"verbosity": "low"}, "verbosity"),
        ({"search": {"foo": 1}}, "search.foo"),
        ({"messages": [{"role": "user", "content": "x", "foo": 1}]}, "messages.0.foo"),
        ({"temperature": 9}, "temperature"),
    ],
)
async def test_only_unknown_top_level_fields_pass(fields: dict[str, Any], param: str) -> None:
    """What is known and not supported, wrong, or deeper down is refused as ever."""
    async with serving(unknown_fields="ignore") as service:
        reply = await service.client.post(CHATS, json={**BODY, **fields})
        assert reply.status_code == 400
        assert reply.json()["error"]["param"] == param


async def test_unknown_fields_are_refused_unless_allowed() -> None:
    """The default."""
    async with serving() as service:
        reply = await service.client.post(CHATS, json={**BODY, "foo": 1})
        assert reply.status_code == 400
        assert reply.json()["error"]["param"] == "foo"


def test_names_cannot_forge_headers() -> None:
    """What is not a plain name is not repeated; many are counted."""
    assert header_value(["a-b", "x\r\nSet-Cookie: y", "é", "n" * 65]) == "a-b, ?, ?, ?"
    assert header_value([f"f{i}" for i in range(23)]).endswith("f19, and 3 more")
