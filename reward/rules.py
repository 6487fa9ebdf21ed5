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
_FENCE = re.compile(r"```(?:json)?\n(.*?)\n?```", re.DOTALL)


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
    """A rule: the text, or its last fenced block, is JSON that a JSON Schema accepts.

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
        fenced = _FENCE.findall(text[-LONGEST_TEXT:])
        try:
            return bool(validator.is_valid(json.loads(fenced[-1] if fenced else text)))
        except (ValueError, RecursionError):  # no JSON, or nested too deeply to be read
            return False
        except Unresolvable as error:
            raise RewardCallFailed(f"The JSON Schema refers to something outside itself: {error}") from error

    return obeys
