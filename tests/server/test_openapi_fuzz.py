"""Requests made up from our own OpenAPI document: no 500, and every reply is as the document says.

``make fuzz-api`` does the same with thousands of requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS
from schemathesis.specs.openapi.checks import positive_data_acceptance

from server.cli.documents import DOCS
from tests.server.process import ESPALIER, Process, running

SCRIPTED = ("serve", "--engine", "scripted", "--port", "0", "--default-simulations", "2", "--default-samples", "2")

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


def test_an_unknown_token_id_has_a_text(server: Process) -> None:
    """Found by made-up requests: a 500 of the toy's tokenizer."""
    reply = httpx.post(f"{server.url}/detokenize", json={"tokens": [99_999, 2**31 - 1]})
    assert reply.status_code == 200, reply.text
    assert json.loads(reply.text)["prompt"] == 2 * "\N{REPLACEMENT CHARACTER}"
