"""The ``AnswerReader`` of searches whose answers are JSON by request: the whole text is the answer."""

from __future__ import annotations

import json
from collections.abc import Sequence


class JsonAnswers:
    """Reads a text as JSON. Two answers are the same when their values are, whatever the blanks and order of keys."""

    def extract(self, text: str) -> str | None:
        """The value in one normal form; None for what is no JSON, such as a text that a limit cut."""
        try:
            return json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False, allow_nan=False)
        except (ValueError, RecursionError):
            return None

    async def group(self, answers: Sequence[str]) -> Sequence[int]:
        """For each answer the index of the first one that is the same."""
        first: dict[str, int] = {}
        return [first.setdefault(answer, index) for index, answer in enumerate(answers)]
