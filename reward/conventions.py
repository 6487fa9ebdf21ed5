"""How each family of process reward models wants a solution laid out and where it puts its scores.

A convention is data: a model is supported when its architecture is in the table. Nothing here runs a model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mcts.errors import StartupError
from mcts.ports import Message, Path, Tokenizer

Aggregate = Callable[[Sequence[float]], float]

AGGREGATES: dict[str, Aggregate] = {
    "last": lambda scores: scores[-1],
    "min": min,
    "product": math.prod,
    "mean": lambda scores: sum(scores) / len(scores),
}
"""How the scores of the steps (at least one, each in [0, 1]) become the value of the path."""


@dataclass(frozen=True, slots=True)
class Convention:
    """How one family of process reward models is asked.

    Args:
        name: The family.
        architectures: Names in ``config.json`` that mean this family.
        system: The system turn the family was trained with; it replaces the client's own.
        separator: Ends a step in the text. Pieces are stripped and empty ones skipped, so a text that ends with the
            separator has no empty last step.
        step_tag: Special token put after every step; the score of the step is read there.
        good_label: Column of the class "this step is right" among the label probabilities.
        aggregate: The family's published default among ``AGGREGATES``.
    """

    name: str
    architectures: tuple[str, ...]
    system: str
    separator: str
    step_tag: str
    good_label: int
    aggregate: str

    def steps(self, text: str) -> list[str]:
        """The steps of a text, in order, never empty ones. A last step that was cut short counts as a step."""
        pieces = (piece.strip() for piece in text.replace(self.step_tag, "").split(self.separator))
        return [piece for piece in pieces if piece]

    def render(self, tokenizer: Tokenizer, path: Path) -> tuple[list[int], int]:
        """Token ids of question and solution with a tag after every step, and how many steps there are.

        The assistant's turn is left open after the last tag: a causal model cannot see what would follow.
        """
        steps = self.steps(path.text)
        solution = "".join(step + self.step_tag for step in steps)
        turns = [Message("system", self.system), *self._question(path), Message("assistant", solution)]
        return tokenizer.render(turns, continue_final=True), len(steps)

    def _question(self, path: Path) -> list[Message]:
        """The chat without system turns and without the prefill, which is part of the solution.

        Earlier turns are kept: a follow-up question means nothing without them.
        """
        messages = [message for message in path.prompt.messages if message.role != "system"]
        if path.prompt.prefill and messages and messages[-1].role == "assistant":
            messages = messages[:-1]
        if not messages:
            messages = [Message("user", path.prompt.text)]
        return [Message(message.role, message.content.replace(self.step_tag, "")) for message in messages]


QWEN_MATH = Convention(
    name="Qwen2.5-Math-PRM",
    architectures=("Qwen2ForProcessRewardModel",),
    system="Please reason step by step, and put your final answer within \\boxed{}.",
    separator="\n\n",
    step_tag="<extra_0>",
    good_label=1,
    aggregate="last",
)
"""Model card of Qwen/Qwen2.5-Math-PRM-7B; also what ``models/abacus-prm`` is trained with."""

CONVENTIONS: tuple[Convention, ...] = (QWEN_MATH,)


def convention_for(architecture: str) -> Convention:
    """The convention of a model's architecture.

    Raises:
        StartupError: None is known; the message lists what is.
    """
    for convention in CONVENTIONS:
        if architecture in convention.architectures:
            return convention
    known = "; ".join(f"{'/'.join(each.architectures)} ({each.name})" for each in CONVENTIONS)
    raise StartupError(f"The reward model's architecture {architecture!r} is not supported. Supported: {known}.")
