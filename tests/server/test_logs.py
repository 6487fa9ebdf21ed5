"""Log lines: one per record, whatever is in it; one per search, without a word of it unless asked; no secrets."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from engine.scripted import ScriptedEngine
from mcts.errors import EngineDead
from server.logs import JsonLines, TextLines
from tests.server.service import CHATS, backend, serving

FORGERIES = (
    "x\n2026-01-01T00:00:00+00:00 INFO    espalier: forged",
    "x\r\nforged",
    "x\x0bforged\x0cforged\x1cforged",
    "x\x85forged\u2028forged\u2029forged",
    "x\x1b[2K\x1b[1Gforged",
    'x" stop_reason="forged',
    "x stop_reason=forged",
    "x\\nforged",
)


def record(message: str, fields: dict[str, Any], error: BaseException | None = None) -> logging.LogRecord:
    """A record as the server makes them."""
    made = logging.LogRecord("espalier", logging.INFO, "", 0, message, (), None)
    made.fields = fields
    if error:
        made.exc_info = (type(error), error, None)
    return made


@pytest.mark.parametrize("text", FORGERIES)
def test_no_text_breaks_out_of_its_line(text: str) -> None:
    """Line breaks of every kind, terminal sequences and quotes are escaped, in the message, in a field, in an error."""
    for form in (TextLines(), JsonLines()):
        line = form.format(record(text, {"request_id": text}))
        assert len(line.splitlines()) == 1
        assert line.isprintable()
    told = json.loads(JsonLines().format(record(text, {"request_id": text, "message": "no", "level": "no"})))
    assert (told["message"], told["request_id"], told["level"]) == (text, text, "info")
    lines = TextLines().format(record("failed", {}, ValueError(text))).splitlines()
    assert all(line.startswith("    | ") and line.isprintable() for line in lines[1:])


def test_a_value_cannot_pass_for_another_field() -> None:
    """What holds a blank, a quote or an equals sign is quoted."""
    line = TextLines().format(record("search ended", {"a": "x stop_reason=forged", "b": 3, "c": ""}))
    assert line.endswith('search ended a="x stop_reason=forged" b=3 c=""')


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged, at the finest level."""
    caplog.set_level(logging.DEBUG)
    return caplog


def fields_of(logged: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of each search's line."""
    return [vars(record)["fields"] for record in logged.records if record.getMessage() == "search ended"]


async def test_a_search_is_one_line_with_its_budget_and_what_it_took(logged: pytest.LogCaptureFixture) -> None:
    """Ids, strategy, budget, stop reason, tokens, seconds; for failures too."""
    dead = ScriptedEngine(failure=lambda _, call: EngineDead("gone") if call >= 8 else None)
    async with serving(dead) as service:
        budget = {"simulations": 2, "tokens": 5000, "seconds": 9}
        body = {"messages": [{"role": "user", "content": "1 2"}], "search": {"strategy": "uct", "budget": budget}}
        await service.client.post(CHATS, json=body, headers={"X-Request-Id": "r-1"})
        dead.failure = lambda _, __: EngineDead("gone")
        await service.client.post(CHATS, json=body)
    answered, failed = fields_of(logged)
    assert answered["request_id"] == "chatcmpl-r-1"
    assert answered["strategy"] == "uct"
    assert (answered["budget_simulations"], answered["budget_tokens"], answered["budget_seconds"]) == (2, 5000, 9)
    assert answered["stop_reason"] == "simulations"
    assert answered["generated_tokens"] > 0
    assert {"seconds", "waited_seconds", "search_id", "reward", "simulations"} <= answered.keys()
    assert failed["stop_reason"] == "EngineDead"
    assert "seconds" in failed


async def test_no_word_of_a_search_is_logged_unless_asked(logged: pytest.LogCaptureFixture) -> None:
    """Neither question nor answer; with the setting both, cut."""
    for asked in (False, True):
        logged.clear()
        async with serving(log_prompts=asked) as service:
            reply = await service.answer("What is 17 + 25, xyzzy?" + " " * 3000, model="abacus:direct")
        answer = reply["choices"][0]["message"]["content"]
        text = "\n".join(JsonLines().format(each) for each in logged.records)
        (fields,) = fields_of(logged)
        assert (answer[:20] in fields.get("answer", "")) == asked
        assert ("prompt" in fields) == asked
        assert len(fields.get("prompt", "")) <= 1000
        assert ("xyzzy" in text) == asked  # the toy repeats the question


async def test_secrets_are_never_logged(logged: pytest.LogCaptureFixture) -> None:
    """No key, right or wrong, and no header, at any level and for any outcome."""
    engine = ScriptedEngine(failure=lambda _, call: RuntimeError("boom") if call == 0 else None)
    async with serving(engine, made=backend(engine), api_key=["s3cret-key"]) as service:
        body = {"messages": [{"role": "user", "content": "1"}], "model": "abacus:direct"}
        for key in ("s3cret-key", "wr0ng-key", "s3cret-key"):
            headers = {"Authorization": f"Bearer {key}", "X-Api-Key": key, "Cookie": key}
            await service.client.post(CHATS, json=body, headers=headers)
        await service.client.post(CHATS, content=b"{", headers={"Authorization": "Bearer s3cret-key"})
        assert "s3cret" not in repr(service.runtime.settings)
    for form in (JsonLines(), TextLines()):
        text = "\n".join(form.format(each) for each in logged.records)
        assert "search ended" in text
        assert "s3cret-key" not in text
        assert "wr0ng-key" not in text
