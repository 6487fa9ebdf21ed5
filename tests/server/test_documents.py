"""Pages of docs/ against the code."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from mcts import events
from mcts.budget import StopReason
from mcts.strategies import STRATEGIES
from server.cli.documents import DOCS, PAGES, STRATEGY_SCHEMAS, with_tables
from server.errors import HTTP_CODES, INTERNAL, KINDS
from server.progress import event_fields
from server.schemas.chat import REFUSED
from server.schemas.trace import SearchTrace, State
from server.settings import Settings
from tests.server.service import Service

PAGE = (DOCS / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_the_tables_are_current(name: str) -> None:
    """The tables of a page are what the code says."""
    page = (DOCS / name).read_text(encoding="utf-8")
    assert with_tables(page) == page


def test_every_strategy_can_be_asked_for() -> None:
    """The published union and the registry of strategies have the same names."""
    published = {schema.model_fields["strategy"].annotation.__args__[0] for schema in STRATEGY_SCHEMAS}  # type: ignore[union-attr]
    assert published == set(STRATEGIES)


def test_every_error_code_is_described() -> None:
    """A client that meets a code finds it on the page."""
    codes = {kind.code for kind in KINDS.values()} | set(HTTP_CODES.values()) | {INTERNAL.code}
    rare = {"invalid_request", "step_mismatch", "unsupported_media_type"}  # general forms that carry no more news
    assert {code for code in codes - rare if f"`{code}`" not in PAGE} == set()


def test_every_stop_reason_and_event_is_described() -> None:
    """What a stream can say stands on the page."""
    told = {reason.value for reason in StopReason} - {StopReason.CANCELLED.value}  # nobody is left to read that one
    assert {name for name in told if f"`{name}`" not in PAGE} == set()
    types = [cls for cls in vars(events).values() if isinstance(cls, type) and cls.__module__ == events.__name__]
    names = {re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower() for cls in types} - {"observers", "answer_text"}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


def test_traces_are_described() -> None:
    """Every setting, every field and every state of traces stands on their page."""
    page = (DOCS / "traces.md").read_text(encoding="utf-8")
    settings = {name for name in Settings.model_fields if name.startswith("trace_")}
    fields = set(SearchTrace.model_fields) - {"object", "value", "answer", "question", "texts", "truncated"}
    assert {name for name in settings | fields | set(get_args(State)) if f"`{name}`" not in page} == set()


def test_events_are_told_by_type_and_fields() -> None:
    """An event's fields are its dataclass's."""
    assert event_fields(events.Collision(1.5)) == {"type": "collision", "seconds": 1.5}


def test_steps_of_nodes_are_not_told() -> None:
    """What a node holds of tokens is for traces; streams do not carry it."""
    added = events.NodeAdded(0, None, 0, "", 0, terminal=False, prior=1.0, seconds=0.0)
    assert "steps" not in event_fields(added)
    assert event_fields(added)["type"] == "node_added"


@pytest.mark.parametrize("name", sorted(REFUSED))
async def test_every_refused_field_is_refused_by_name(service: Service, name: str) -> None:
    """The reason in the table is the reason in the message."""
    error = await service.refusal(**{name: {"some": "thing"}})
    assert error["param"] == name
    assert REFUSED[name] in error["message"]
