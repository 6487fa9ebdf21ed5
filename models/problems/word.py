"""Word problems of two to six arithmetic steps, as records with their exact steps and a worked solution."""

import random

from models.problems.chains import chain
from models.problems.plots import PLOTS
from models.problems.record import STEP_BREAK, Record, UnsuitableError
from models.problems.story import Story

FEWEST_STEPS, MOST_STEPS = 2, 6
CHAIN_SHARE = 0.7
# Share of the short ones that are kept: plots have mostly two or three steps, and a search has little to find in those.
_KEPT = {2: 0.05, 3: 0.15, 4: 0.6}


def make_word(rng: random.Random) -> tuple[str, Record]:
    """Draw one problem; returns what identifies it (its question) and its record.

    Raises:
        UnsuitableError: The drawn numbers do not work out, or not in two to six steps.
    """
    story = Story(rng)
    plot = chain if rng.random() < CHAIN_SHARE else rng.choice(PLOTS)
    question, answer = plot(story)
    if not FEWEST_STEPS <= len(story.steps) <= MOST_STEPS or answer.source is None:
        raise UnsuitableError
    if rng.random() > _KEPT.get(len(story.steps), 1.0):
        raise UnsuitableError
    steps = [*story.steps, f"The answer is \\boxed{{{answer}}}"]
    record = {
        "kind": "word",
        "question": question,
        "answer": str(answer),
        "solution": STEP_BREAK.join(steps),
        "steps": [[e.left, e.op, e.right, e.result, list(e.needs)] for e in story.equations],
    }
    return question, record
