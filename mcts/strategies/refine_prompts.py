"""The turns in which a model criticises, rewrites and grades an answer. The bundled model is taught exactly these."""

from __future__ import annotations

CRITIQUE_REQUEST = (
    "Check your answer step by step. Name every mistake and weak point you find, and say how to mend it. "
    "Do not write the new answer yet."
)

REWRITE_REQUEST = (
    "Now write a better answer to the question, mending what you found. "
    "Show your work and end in the same form as before."
)

GRADE_REQUEST = (
    "Grade the answer strictly: look for mistakes, and never give full marks. "
    "End with a line 'Score: N', where N is from -100 (wrong) to 100 (perfect)."
)


def critique_request() -> str:
    """The turn after an answer that asks for its critique."""
    return CRITIQUE_REQUEST


def rewrite_request() -> str:
    """The turn after a critique that asks for the new answer."""
    return REWRITE_REQUEST


def grade_request(question: str, answer: str, request: str = GRADE_REQUEST) -> str:
    """The one turn of a grading chat.

    Args:
        question: What was asked.
        answer: What is to be graded.
        request: How it is to be graded.
    """
    return f"Question:\n{question}\n\nAnswer:\n{answer}\n\n{request}"
