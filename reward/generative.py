"""The questions that a chat model is asked as a generative reward model. It answers with one word, Yes or No."""

from __future__ import annotations

from collections.abc import Sequence

from mcts.ports import Message, Path, Tokenizer
from reward.solutions import question_of

STEP_SYSTEM = (
    "You are a careful teacher who checks a solution step by step. "
    "A step is right when it follows from the question and the steps before it. Answer with one word: Yes or No."
)
ANSWER_SYSTEM = (
    "You check your own answers. An answer is right when everything in it is true and it answers the question. "
    "Answer with one word: Yes or No."
)


def ask_about_step(tokenizer: Tokenizer, path: Path, steps: Sequence[str]) -> tuple[int, ...]:
    """Asks whether the last of the steps is right, given the question and the steps before it."""
    told = "\n\n".join(f"Step {number}: {step}" for number, step in enumerate(steps, start=1))
    question = f"Question:\n{question_of(path)}\n\nSolution so far:\n{told}\n\nIs step {len(steps)} right?"
    return tuple(tokenizer.render([Message("system", STEP_SYSTEM), Message("user", question)]))


def ask_about_answer(tokenizer: Tokenizer, path: Path) -> tuple[int, ...]:
    """Asks whether a whole answer is right."""
    return tuple(tokenizer.render(answer_turns(question_of(path), path.text)))


def answer_turns(question: str, answer: str) -> list[Message]:
    """The turns that ask whether a whole answer is right. The bundled model is taught exactly these."""
    told = f"Question:\n{question}\n\nAnswer:\n{answer.strip()}\n\nIs this answer right?"
    return [Message("system", ANSWER_SYSTEM), Message("user", told)]
