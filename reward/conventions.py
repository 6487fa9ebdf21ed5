"""How families of reward models want a solution laid out, and where they put their scores.

    Convention
    ├── TagConvention      a classifier reads the score of a step at a token that follows it
    ├── LabelConvention    a causal language model says, after each step, which of two labels comes next
    └── AnswerConvention   a sequence classifier gives the whole answer one raw logit

A convention is data and pure functions; ``reward.families`` lists the families. Nothing here runs a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mcts.errors import StartupError
from mcts.ports import Path, Tokenizer
from reward.solutions import BLANK_LINE, steps_of, unmarked

WHOLE = re.compile(r"(?!)")
"""Never matches: the whole answer is one step."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A prompt and where in it scores are read.

    Args:
        token_ids: Question and solution.
        marks: For each step, in order, the place in ``token_ids`` of the tag at which its score stands.
    """

    token_ids: tuple[int, ...]
    marks: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """What all families have in common.

    Args:
        name: The family, as the settings write it.
        models: Parts of published names (lower case) that mean this family.
        architectures: Names in ``config.json``, or endings of names, that only this family has.
        aggregate: The family's published default among ``mcts.aggregates``.
        separator: What stands between the steps of a text.
    """

    name: str
    models: tuple[str, ...]
    architectures: tuple[str, ...] = ()
    aggregate: str
    separator: re.Pattern[str] = BLANK_LINE

    @property
    def judges_whole(self) -> bool:
        """Whether it is an outcome reward model: one score for an answer, none for its steps."""
        return self.separator is WHOLE

    def steps(self, text: str) -> list[str]:
        """The steps of a text, in order, never empty ones. A last step that was cut short counts as a step."""
        return steps_of(text, self.separator)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagConvention(Convention):
    """A family whose scores a classifier reads at tags.

    Args:
        tag: Text of the one token that is put after every step.
        good_label: Column of the class "this step is right" among the label probabilities.
        lay: Puts question and steps (at least one) together.
    """

    tag: str
    good_label: int
    lay: Callable[[Tokenizer, Path, Sequence[str]], Layout]

    def steps(self, text: str) -> list[str]:
        """The steps of a text. A visible tag that the model wrote itself is dropped; it would be no step's."""
        return steps_of(unmarked(text, self.tag) if self.tag.strip() else text, self.separator)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConvention(Convention):
    """A family of causal language models that are asked for the next token after each step.

    Args:
        labels: The label of a right step and that of a wrong one.
        ask: The prompt after which the labels are compared, about the last of the given steps (at least one).
    """

    labels: tuple[str, str]
    ask: Callable[[Tokenizer, Path, Sequence[str]], tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerConvention(Convention):
    """A family of sequence classifiers with one label. They read the chat with the answer as its last, closed turn."""

    aggregate: str = "last"
    separator: re.Pattern[str] = WHOLE


Family = TagConvention | LabelConvention | AnswerConvention


def label_ids(tokenizer: Tokenizer, labels: Sequence[str]) -> tuple[int, ...]:
    """The token by which each label begins. A label of one token, as all published ones are, is that token.

    Raises:
        StartupError: Two labels begin with the same token, or one has none: they cannot be told apart.
    """
    ids = tuple(next(iter(tokenizer.encode(label)), -1) for label in labels)
    if min(ids) < 0 or len(set(ids)) < len(ids):
        raise StartupError(f"The reward model's tokenizer does not tell the labels {', '.join(labels)} apart.")
    return ids


def only_token(tokenizer: Tokenizer, tag: str) -> int:
    """The one token that a tag is.

    Raises:
        StartupError: It is spelt in pieces, so this tokenizer is not the family's.
    """
    ids = tokenizer.encode(tag)
    if len(ids) != 1:
        raise StartupError(f"The reward model's tokenizer has no step tag {tag!r}.")
    return ids[0]
