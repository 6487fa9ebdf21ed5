"""Our own OpenAPI document against the server: cases that fit it, and cases that do not, made by schemathesis.

How many cases is up to hypothesis's profile: ``make fuzz-api`` asks for thousands an operation.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi import checks

from server.cli.documents import openapi_document
from server.schemas.reply import ChatCompletionChunk, ErrorReply, TextCompletionChunk
from tests.server.service import listening

DOCUMENT = openapi_document()
CHUNKS = {
    "/v1/chat/completions": Draft202012Validator(ChatCompletionChunk.model_json_schema()),
    "/v1/completions": Draft202012Validator(TextCompletionChunk.model_json_schema()),
}
TRIED: defaultdict[str, Counter[int]] = defaultdict(Counter)
"""Replies by operation and status, for the long run to tell."""

ERROR = Draft202012Validator(ErrorReply.model_json_schema())

THOROUGH = settings.get_current_profile_name() == "api"

schema = schemathesis.openapi.from_dict(DOCUMENT)
schema.config.phases.coverage.enabled = THOROUGH  # thousands of cases: each limit of each field


@schemathesis.check
def declared_by_number(_: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """The document's ``default`` entry excuses no status."""
    declared = set(case.operation.definition.raw["responses"]) - {"default"}
    if case.method.lower() != case.operation.method.lower():
        declared = {"405"}  # a method that the document does not have
    assert str(response.status_code) in declared, f"{response.status_code} is not among {sorted(declared)}"


@schemathesis.check
def errors_have_one_shape(_: schemathesis.CheckContext, response: schemathesis.Response, __: schemathesis.Case) -> None:
    """Each refusal says what is wrong."""
    if response.status_code >= 400:
        found = response.json()
        assert found["error"]["message"]
        if "status" not in found:  # the health endpoints say more
            ERROR.validate(found)


@schemathesis.check
def chunks_match_their_schema(
    _: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """Each event of a stream is a chunk, or an error in the one shape, and the last one says that this is all."""
    if response.headers["content-type"][0].startswith("text/event-stream"):
        *events, done, rest = response.content.decode().split("\n\n")
        assert (done, rest) == ("data: [DONE]", "")
        for event in events:
            found = json.loads(event.removeprefix("data: "))
            (ERROR if "error" in found else CHUNKS[case.operation.path]).validate(found)


CHECKS: list[Any] = [
    schemathesis.checks.not_a_server_error,
    checks.response_schema_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
    declared_by_number,
    errors_have_one_shape,
    chunks_match_their_schema,
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server whose searches are short, in a thread of its own."""
    started: list[str] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        short = {"default_max_tokens": 16, "default_simulations": 2, "max_simulations": 4, "max_seconds": 1}
        async with listening(**short) as service:
            started.append(service.url)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    yield started[0]
    over.set()
    thread.join()
    if THOROUGH:
        lines = (f"{name}: {sum(statuses.values())}, {dict(statuses)}\n" for name, statuses in TRIED.items())
        sys.stdout.write("\ncases, by status\n" + "".join(lines))


CASES = settings(
    max_examples=settings.default.max_examples if THOROUGH else 60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def check(case: schemathesis.Case, url: str) -> int:
    """Sends a case and checks the reply; the reply's status."""
    response = case.call(base_url=url)
    TRIED[case.operation.label][response.status_code] += 1
    case.validate_response(response, checks=CHECKS)
    return response.status_code


@schema.parametrize()
@CASES
def test_every_reply_is_what_the_document_says(case: schemathesis.Case, url: str) -> None:
    """No fault of the server, no status or content type that is not declared, and nothing ill-formed is accepted."""
    check(case, url)


def eased(case: schemathesis.Case) -> st.SearchStrategy[schemathesis.Case]:
    """A case with a prompt that can be searched and few of its other fields: one with all of them is always refused."""
    made: dict[str, Any] = case.body
    search = made.pop("search", None) or {}
    chat = {"messages": [{"role": "user", "content": "1 2"}]} if "messages" in made else {"prompt": "1 2"}
    names = sorted(set(made) - {*chat, "model", "stream"})

    def with_few(kept: list[str], of_search: list[str], stream: bool) -> schemathesis.Case:
        few = {name: search[name] for name in ["strategy", *of_search] if name in search}
        case.body = {**{name: made[name] for name in kept}, **chat, "stream": stream}
        case.body |= {"search": few} if few else {}
        return case

    few = st.lists(st.sampled_from(names), max_size=2, unique=True) if names else st.just([])
    of_search = st.lists(st.sampled_from(sorted(search)), max_size=2, unique=True) if search else st.just([])
    return st.builds(with_few, few, of_search, st.booleans())


@pytest.mark.parametrize("path", CHUNKS)
def test_replies_that_succeed_are_what_the_document_says(path: str, url: str) -> None:
    """Most cases of few fields are answered, plain or streamed, in the shapes of the document."""
    statuses: Counter[int] = Counter()

    @CASES
    @given(case=schema[path]["POST"].as_strategy().flatmap(eased))
    def ask(case: schemathesis.Case) -> None:
        statuses[check(case, url)] += 1

    ask()
    assert statuses[200] > statuses.total() / 4, statuses
