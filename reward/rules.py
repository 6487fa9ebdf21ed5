r"""Rewards by rule: right form or right answer, 1 or 0. Pure computation on the text.

The form of tags is the format reward of DeepSeek-R1 (2501.12948, section 2.2.2).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mcts.errors import RewardCallFailed, StartupError
from mcts.ports import AnswerReader, Path, PathScore
from reward.extraction import LONGEST_TEXT, boxed

TextRule = Callable[[str], bool]
"""Whether a text obeys."""

_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_TAGS_FORM = re.compile(r"<think>.*?</think>\s*<answer>(.*?)</answer>", re.DOTALL)
_FENCE = "```"


def has_box(text: str) -> bool:
    r"""Whether a complete ``\boxed{…}`` with something in it stands in the text."""
    return bool((boxed(text[-LONGEST_TEXT:]) or "").strip())


def thinks_then_answers(text: str) -> bool:
    """Whether the text is ``<think>…</think><answer>…</answer>``, each tag once, with nothing but blanks around."""
    found = _TAGS_FORM.fullmatch(text.strip())
    return bool(found and found[1].strip()) and all(text.count(tag) == 1 for tag in _TAGS)


RULES: dict[str, TextRule] = {"boxed_form": has_box, "tags_form": thinks_then_answers}
"""Rules of form by the name of their reward."""


@dataclass(frozen=True, slots=True)
class RuleReward:
    """A ``RewardModel``: 1 for a path whose text obeys the rule, else 0. A beginning is judged as it stands."""

    rule: TextRule
    top_logprobs: int = 0

    async def score(self, paths: Sequence[Path]) -> list[PathScore]:
        """Scores each path, in order."""
        return [PathScore(float(self.rule(path.text))) for path in paths]


@dataclass(frozen=True, slots=True)
class ExactAnswer:
    """A ``RewardModel``: 1 for a path whose answer is equivalent to the expected one, else 0.

    For evaluation and training data: a server does not know the right answer.
    """

    expected: str
    answers: AnswerReader
    top_logprobs: int = 0

    async def score(self, paths: Sequence[Path]) -> list[PathScore]:
        """Scores each path, in order."""
        found = [self.answers.extract(path.text) for path in paths]
        right = {answer: await self._is_right(answer) for answer in dict.fromkeys(found)}
        return [PathScore(float(right[answer])) for answer in found]

    async def _is_right(self, answer: str | None) -> bool:
        """Whether it is equivalent to the expected one, which comes first: it is what is taken for right."""
        return answer is not None and list(await self.answers.group([self.expected, answer])) == [0, 0]


def json_schema_rule(schema: Any) -> TextRule:
    """A rule: the text, or its last fenced block of JSON or of no language, is JSON that a JSON Schema accepts.

    Raises:
        StartupError: The schema itself is wrong, or the package ``jsonschema`` is not installed.
    """
    try:
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import validator_for
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ImportError:
        raise StartupError("The package 'jsonschema' is not installed; the reward json_schema needs it.") from None
    kind = validator_for(schema)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise StartupError(f"The JSON Schema is wrong: {error.message}") from None
    validator = kind(schema, registry=Registry())  # an empty one: nothing is ever fetched from the network

    def obeys(text: str) -> bool:
        block = _last_block(text[-LONGEST_TEXT:])
        try:
            return bool(validator.is_valid(json.loads(text if block is None else block)))
        except (ValueError, RecursionError):  # no JSON, or nested too deeply to be read
            return False
        except Unresolvable as error:
            raise RewardCallFailed(f"The JSON Schema refers to something outside itself: {error}") from error

    return obeys


def _last_block(text: str) -> str | None:
    """The last complete fenced block that names no language or JSON.

    Read line by line, so that no block is begun by the fence that ends the one before it.
    """
    language: str | None = None  # of the block that is open
    begun, last = 0, None
    lines = text.split("\n")
    for i, line in enumerate(map(str.strip, lines)):
        if language is not None and line == _FENCE:
            if language in {"", "json"}:
                last = "\n".join(lines[begun:i])
            language = None
        elif language is None and line.startswith(_FENCE) and "`" not in line[len(_FENCE) :]:
            language, begun = line[len(_FENCE) :].strip().lower(), i + 1
    return last
