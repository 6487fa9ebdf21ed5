"""Measured runs on disk: one file each, written when the run is complete, so that what was interrupted can go on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.client import Reply
from evals.runs import Run

FORMAT = 1
"""Goes up when what a file holds, or how replies are read, changes: older files are then measured again."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A complete run: its replies in the order of the questions, and the seconds that all of them took together."""

    replies: tuple[Reply, ...]
    seconds: float


def fingerprint(run: Run, records: Sequence[Mapping[str, Any]], server: str, concurrency: int) -> str:
    """Changes with anything that may change a run's figures.

    Args:
        run: What is sent besides the question, what the reply must say, and the votes that are taken again: only their
            winners are kept.
        records: The problems.
        server: What is known of the server: ``source_mark`` or its address.
        concurrency: Questions asked at the same time.
    """
    asked = [run.body, run.strategy, run.reward, run.votes]
    problems = [[record["id"], record["question"]] for record in records]
    return _digest(json.dumps([FORMAT, asked, problems, server, concurrency], sort_keys=True).encode())


def source_mark(folders: Sequence[Path]) -> str:
    """One digest of the weights, configurations and Python sources in some folders, by content and relative name."""
    parts = [
        f"{folder.name}/{path.relative_to(folder)} {_digest(path.read_bytes())}"
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in {".py", ".json", ".safetensors", ".jinja"} and path.name != "report.json"
    ]
    return _digest("\n".join(parts).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Store:
    """Where runs are kept.

    Args:
        folder: Of one suite; made when the first run is saved.
        resume: Whether runs found there are taken instead of measured again, when their fingerprint is the same.
    """

    folder: Path
    resume: bool

    def path(self, kind: str, name: str) -> Path:
        """The file of a run."""
        return self.folder / f"{kind} {re.sub(r'[^a-z0-9.-]+', '-', name.lower())}.jsonl".replace(" ", "-")

    def load(self, kind: str, name: str, mark: str) -> Saved | None:
        """The run as it was saved; None when it must be measured, which holds for runs in which questions failed."""
        path = self.path(kind, name)
        if not self.resume or not path.exists():
            return None
        head, *lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
        if head.get("fingerprint") != mark:
            return None
        replies = tuple(Reply(**{key: value for key, value in line.items() if key != "id"}) for line in lines)
        return None if any(reply.error for reply in replies) else Saved(replies, head["seconds"])

    def save(self, kind: str, name: str, mark: str, ids: Sequence[str], saved: Saved) -> None:
        """Keeps a complete run: a line about it, then one line per question. A file is there whole or not at all."""
        path = self.path(kind, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        with unfinished.open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(line) + "\n" for line in _lines(name, mark, ids, saved))
        unfinished.replace(path)


def _lines(name: str, mark: str, ids: Sequence[str], saved: Saved) -> Iterator[dict[str, Any]]:
    yield {"run": name, "fingerprint": mark, "seconds": saved.seconds}
    for identity, reply in zip(ids, saved.replies, strict=True):
        yield {"id": identity, **reply.as_dict()}
