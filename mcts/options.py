"""Checks shared by the options of all strategies. Every complaint names the field as the client wrote it."""

from __future__ import annotations

import math

from mcts.errors import InvalidRequest


def require(holds: bool, message: str, param: str) -> None:
    """Refuses a field.

    Args:
        holds: What must be true.
        message: What is wrong and what would be right, in one sentence.
        param: The field's dotted name, such as ``search.branch``.

    Raises:
        InvalidRequest: ``holds`` is false.
    """
    if not holds:
        raise InvalidRequest(message, param)


def require_between(value: float, low: float, high: float, param: str) -> None:
    """Refuses a number outside ``[low, high]``, and one that is not a number at all.

    Raises:
        InvalidRequest: The number is out of range.
    """
    require(math.isfinite(value) and low <= value <= high, f"{param} must be between {low} and {high}.", param)
