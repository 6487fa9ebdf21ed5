"""Writes the pages of docs/ that are made from the code: ``python -m server.cli.documents``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from server.app import create_app
from server.cli.flags import document_settings
from server.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document, without the version of this checkout, so that it changes only with the API."""
    document = create_app(Settings()).openapi()
    document["info"]["version"] = "current"
    return document


def write_documents(folder: Path = DOCS) -> None:
    """Writes settings.md and openapi.json."""
    (folder / "settings.md").write_text(document_settings(), encoding="utf-8")
    text = json.dumps(openapi_document(), indent=1, ensure_ascii=False)
    (folder / "openapi.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_documents()
