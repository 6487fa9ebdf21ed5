"""``/tokenize`` and ``/detokenize``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.service import Service

CHAT = [{"role": "user", "content": "hm"}]


async def post(service: Service, path: str, **body: Any) -> dict[str, Any]:
    """Posts what must be accepted."""
    reply = await service.client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def test_a_text_there_and_back(service: Service) -> None:
    """The scripted tokenizer has one token a character."""
    there = await post(service, "/tokenize", prompt="17 + 25", return_token_strs=True)
    assert there["count"] == len(there["tokens"]) == 7
    assert there["max_model_len"] == 4096
    assert there["token_strs"] == list("17 + 25")
    assert await post(service, "/detokenize", tokens=there["tokens"]) == {"prompt": "17 + 25"}
    assert (await post(service, "/tokenize", prompt=""))["tokens"] == []


async def test_a_chat_is_what_a_search_begins_with(service: Service) -> None:
    """The tokens are the prefix of the engine's first call."""
    told = await post(service, "/tokenize", messages=CHAT)
    await service.answer("hm", search={"strategy": "direct"})
    assert tuple(told["tokens"]) == service.engine.requests[-1].prefix
    assert told["token_strs"] is None


async def test_a_chat_can_end_closed_or_open(service: Service) -> None:
    """Without the generation prompt the chat ends with its last turn; a final assistant turn can be left open."""
    text = [
        await post(service, "/detokenize", tokens=(await post(service, "/tokenize", **how))["tokens"])
        for how in (
            {"messages": CHAT, "add_generation_prompt": False},
            {"messages": [*CHAT, {"role": "assistant", "content": "So"}], "continue_final_message": True},
        )
    ]
    assert [each["prompt"] for each in text] == ["<user>hm", "<user>hm<assistant>So"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": "x", "messages": CHAT}, "prompt"),
        ("/tokenize", {"prompt": "x", "add_generation_prompt": True}, "add_generation_prompt"),
        ("/tokenize", {"messages": CHAT, "add_special_tokens": True}, "add_special_tokens"),
        ("/tokenize", {"messages": CHAT, "continue_final_message": True}, "continue_final_message"),
        ("/tokenize", {"messages": CHAT, "chat_template": "x"}, "chat_template"),
        ("/tokenize", {"prompt": "x", "model": "other"}, None),
        ("/detokenize", {"tokens": []}, "tokens"),
        ("/detokenize", {"tokens": [1.5]}, "tokens.0"),
        ("/detokenize", {"tokens": "12"}, "tokens"),
    ],
)
async def test_bad_bodies_are_refused_by_name(
    service: Service, path: str, body: dict[str, Any], param: str | None
) -> None:
    """The field at fault is named; an unknown model is a 404."""
    reply = await service.client.post(path, json=body)
    assert reply.status_code == (400 if param else 404), reply.text
    assert reply.json()["error"]["param"] == param
