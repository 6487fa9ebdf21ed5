"""Requests made up from our own OpenAPI document: no 500, and every reply is as the document says.

``make fuzz-api`` does the same with thousands of requests.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS
from schemathesis.specs.openapi.checks import positive_data_acceptance

from server.cli.documents import DOCS
from tests.server.process import ESPALIER, Process, running

SCRIPTED = ("serve", "--engine", "scripted", "--port", "0", "--default-simulations", "2", "--default-samples", "2")


@schemathesis.check
def declared_by_number(_: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """The document's entry for any other status excuses none."""
    assert str(response.status_code) in set(case.operation.definition.raw["responses"]) - {"default"}


# What schemas cannot say (one of two fields, a range that depends on another) is refused although it fits them.
KNOWN = [check for check in CHECKS.get_all() if check is not positive_data_acceptance]


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    """A server on the toy."""
    with running([*ESPALIER, *SCRIPTED]) as process:
        yield process


@pytest.fixture(scope="module")
def document(server: Process) -> schemathesis.BaseSchema:
    """Its OpenAPI document."""
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


OPERATIONS = [
    (path, method)
    for path, methods in json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))["paths"].items()
    for method in methods
]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_reply_is_as_the_document_says(document: schemathesis.BaseSchema, path: str, method: str) -> None:
    """Whatever is asked, well formed or not: declared statuses, types and shapes."""
    operation = document[path][method]
    for mode in schemathesis.GenerationMode:

        @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def asked(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=KNOWN)

        with suppress(Unsatisfiable):  # an operation that takes nothing can be asked nothing wrong
            asked()


def eased(case: schemathesis.Case) -> st.SearchStrategy[schemathesis.Case]:
    """A case with a prompt that can be searched and few of its other fields: one with all of them is always refused."""
    made: dict[str, Any] = case.body
    search = made.pop("search", None) or {}
    prompt = {"messages": [{"role": "user", "content": "1 2"}]} if "messages" in made else {"prompt": "1 2"}
    names = sorted(set(made) - {*prompt, "model", "stream"})

    def with_few(kept: list[str], of_search: list[str], stream: bool) -> schemathesis.Case:
        few = {name: search[name] for name in ["strategy", *of_search] if name in search}
        case.body = {**{name: made[name] for name in kept}, **prompt, "stream": stream}
        case.body |= {"search": few} if few else {}
        return case

    few = st.lists(st.sampled_from(names), max_size=2, unique=True) if names else st.just([])
    of_search = st.lists(st.sampled_from(sorted(search)), max_size=2, unique=True) if search else st.just([])
    return st.builds(with_few, few, of_search, st.booleans())


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_replies_that_succeed_are_as_the_document_says(document: schemathesis.BaseSchema, path: str) -> None:
    """Many cases of few fields are answered, plain or streamed, in the shapes of the document."""
    statuses: Counter[int] = Counter()

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=document[path]["post"].as_strategy().flatmap(eased))
    def asked(case: schemathesis.Case) -> None:
        statuses[case.call_and_validate(checks=KNOWN).status_code] += 1

    asked()
    assert statuses[200] > statuses.total() / 4, statuses


def test_an_unknown_token_id_has_a_text(server: Process) -> None:
    """Found by made-up requests: a 500 of the toy's tokenizer."""
    reply = httpx.post(f"{server.url}/detokenize", json={"tokens": [99_999, 100_000 + 0xD800, 2**31 - 1]})
    assert reply.status_code == 200, reply.text
    assert json.loads(reply.text)["prompt"] == 3 * "\N{REPLACEMENT CHARACTER}"
