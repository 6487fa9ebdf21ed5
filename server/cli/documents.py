"""Writes the pages of docs/ that are made from the code: ``python -m server.cli.documents``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from server.app import create_app
from server.cli.flags import document_settings
from server.metrics import declared_metrics
from server.schemas.chat import ChatRequest
from server.schemas.completion import CompletionRequest
from server.schemas.generation import GenerationFields
from server.schemas.search import Named
from server.schemas.search_fields import TreeBudget
from server.settings import Settings

NO_EFFECT = "No effect."
"""How a schema describes a field that changes nothing."""

DOCS = Path(__file__).parents[2] / "docs"

PAGES = ("api.md", "metrics.md")
"""Pages with tables that are made here."""

STRATEGY_SCHEMAS: tuple[type[BaseModel], ...] = get_args(get_args(Named)[0])
"""The members of the union that requests are read by, in its order."""


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document, without the version of this checkout, so that it changes only with the API."""
    document = create_app(Settings()).openapi()
    document["info"]["version"] = "current"
    return document


def fields_table(schema: type[GenerationFields]) -> str:
    """Each field of a request and what becomes of it."""
    idle = [name for name, field in schema.model_fields.items() if field.description == NO_EFFECT]
    lines = ["| field | | |", "|---|---|---|"]
    for name, field in schema.model_fields.items():
        if name not in idle:
            lines.append(f"| `{name}` | honoured | {field.description or 'see Streaming'} |")
    lines += [f"| `{name}` | refused | {why} |" for name, why in schema.refused.items()]
    lines += [f"| `{name}` | no effect | |" for name in idle]
    return "\n".join([*lines, "| anything else | refused | |"])


def search_table() -> str:
    """Each field of ``search`` and the strategies that have it; one that means two things has two lines."""
    owners: dict[tuple[str, str], list[str]] = {}
    for schema in STRATEGY_SCHEMAS:
        strategy = schema.model_fields["strategy"].annotation.__args__[0]  # type: ignore[union-attr]
        for name, field in schema.model_fields.items():
            owners.setdefault((name, field.description or ""), []).append(strategy)
    told = {"strategy": ", ".join(f"`{name}`" for name in owners["strategy", ""])}
    told["budget"] = " ".join(f"`{name}`: {field.description}" for name, field in TreeBudget.model_fields.items())
    lines = ["| field | strategies | what it does |", "|---|---|---|"]
    for (name, description), having in owners.items():
        whose = "all" if len(having) == len(STRATEGY_SCHEMAS) else ", ".join(having)
        lines.append(f"| `{name}` | {whose} | {told.get(name, description)} |")
    return "\n".join(lines)


def metrics_table() -> str:
    """Each metric of ours: its kind, its labels, what it counts."""
    lines = ["| metric | kind | labels | |", "|---|---|---|---|"]
    for metric in declared_metrics():
        kind = metric.kind if metric.zeroed else f"{metric.kind} †"
        lines.append(
            f"| `{metric.name}` | {kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.text} |"
        )
    return "\n".join(lines)


def labels_table() -> str:
    """Each label and the values that it may have, as far as they stand in the code."""
    values: dict[str, dict[str, None]] = {}
    for metric in declared_metrics():
        for label, known in metric.labels.items():
            values.setdefault(label, {}).update(dict.fromkeys(known))
    lines = ["| label | values |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{label}` | {_listed(list(known))} |" for label, known in values.items() if known)])


def _listed(values: list[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def with_tables(page: str) -> str:
    """A page with its generated tables brought up to date."""
    tables = {
        "fields": fields_table(ChatRequest),
        "completion-fields": fields_table(CompletionRequest),
        "search": search_table(),
        "metrics": metrics_table(),
        "labels": labels_table(),
    }
    for mark, table in tables.items():
        pattern = re.compile(rf"(<!-- {mark}: [^>]*-->\n).*?(<!-- /{mark} -->)", re.DOTALL)
        page = pattern.sub(lambda found, table=table: f"{found[1]}\n{table}\n\n{found[2]}", page)  # type: ignore[misc]
    return page


def write_documents(folder: Path = DOCS) -> None:
    """Writes settings.md and openapi.json, and the tables of the pages that have some."""
    (folder / "settings.md").write_text(document_settings(), encoding="utf-8")
    text = json.dumps(openapi_document(), indent=1, ensure_ascii=False)
    (folder / "openapi.json").write_text(text + "\n", encoding="utf-8")
    for page in (folder / name for name in PAGES):
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write_documents()
