"""MCTSr's numbers (Zhang et al., 2406.07394): reading a grade, the value of an answer, its upper confidence bound.

Rewards and values lie in [-100, 100]. Pure functions over a tree of answers.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence

from mcts.strategies.answer_tree import Answer

MOST = 100.0
"""Rewards lie between minus this and this (section 3.2)."""

FULL_MARK = 95.0
SUPPRESSION = 5.0
"""Rewards above the former are lowered by the latter: "full score suppression" (section 3.2). The paper names no
constant; this one keeps a suppressed reward within five of the mark, not far below honest ones."""

EPSILON = 1e-5
"""Keeps the formula from dividing by 0 (the paper's released code)."""

_MARKS = r"[\s:=*_#|>\"'`~]*"
_SCORE = re.compile(
    rf"(?:score|评分|得分|分数)(?:\s*\([^()\n]*\))?{_MARKS}(?:(?:is\b|为|是){_MARKS})?([-+]?[0-9]+(?:,[0-9]{{3}})*(?:\.[0-9]+)?)",
    re.IGNORECASE,
)

Scale = Callable[[float], float]


def read_score(text: str) -> float | None:
    """The score in a judgement: the number that follows the last score label that a number follows.

    It must follow directly, so that a model which merely repeats how it was told to grade has given no score.
    Full-width characters and the true minus sign are read as their plain forms, labels in English or Chinese, and
    ``85/100`` as 85.

    Returns:
        The score in [-100, 100]; None where there is none, or one outside that range.
    """
    found = _SCORE.findall(unicodedata.normalize("NFKC", text).replace("−", "-"))
    score = float(found[-1].replace(",", "")) if found else math.inf
    return score if abs(score) <= MOST else None


def suppressed(score: float) -> float:
    """A score with full marks kept down, so that the model's praise of itself does not end the search."""
    return score - SUPPRESSION if score > FULL_MARK else score


def own_value(rewards: Sequence[float]) -> float:
    """``Q(a) = (min R_a + mean R_a) / 2`` (equation 1): the worst grade weighs as much as all together."""
    return (min(rewards) + math.fsum(rewards) / len(rewards)) / 2


def reward(answer: Answer, score: float) -> None:
    """Adds a reward and lets every answer above feel it: ``Q'(a) = (Q(a) + max over children Q') / 2`` (equation 2).

    ``Q'`` is kept with each answer, and each one's is computed from its children's, so the first answer feels the
    deepest one.
    """
    answer.rewards.append(score)
    for node in answer.lineage():
        if not node.rewards:
            continue  # the question
        below = [child.value for child in node.children if child.value is not None]
        own = own_value(node.rewards)
        node.value = (own + max(below)) / 2 if below else own


def upper_bound(answer: Answer, exploration: float, scale: Scale) -> float:
    """``Q' + c · sqrt((ln(N_father + O_father) + 1) / (N + O + ε))`` (equation 3, with WU-UCT's visits in flight).

    ``N`` counts refinements, never grades: the one that wrote the answer and those made of it; the question's are
    the first answers. ``O`` are the refinements in flight, 0 in a search of width 1.

    Args:
        answer: An answer that has a value.
        exploration: ``c``, at least 0. Higher values spread refinements more evenly.
        scale: Applied to the value.
    """
    father = answer.parent
    if father is None or answer.value is None:
        raise ValueError("only answers with a value have a bound")
    times = max(1, father.visits + father.in_flight)
    bonus = math.sqrt((math.log(times) + 1) / (answer.visits + answer.in_flight + EPSILON))
    return scale(answer.value) + exploration * bonus


def refinable(answer: Answer, branch: int) -> bool:
    """Whether an answer is a candidate for refinement (section 3.4), wherever in the tree it stands.

    It is not when it has been refined ``branch`` times and one of its children is better than itself: both must hold.
    While refinements in flight may still bring a better one, it waits for them.
    """
    if answer.value is None or answer.closed:
        return False
    if answer.begun < branch:
        return True
    better = any(child.value is not None and child.value > answer.value for child in answer.children)
    return not better and not answer.in_flight


def unit(value: float) -> float:
    """A value or reward as one in [0, 1], which is what results carry."""
    return (value + MOST) / (2 * MOST)


def rescaled(answers: Sequence[Answer]) -> Scale:
    """Puts values on a scale where the smallest value of the tree is 0 and its largest 1; 0.5 while they are equal."""
    values = [answer.value for answer in answers if answer.value is not None]
    low, high = min(values, default=0.0), max(values, default=0.0)
    return lambda value: (value - low) / (high - low) if high > low else 0.5
