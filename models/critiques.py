"""Turns about answers: critiques, rewrites, grades, and the plain question whether an answer is right.

The requests are worded by the searches and rewards that make them (`mcts.strategies.refine_prompts`, `reward.judge`,
`reward.generative`), so that the model is taught exactly what it will be asked.
"""

import random
from collections.abc import Callable, Iterator

from mcts.ports import Message as Turn
from mcts.strategies.refine_prompts import critique_request, grade_request, rewrite_request
from models.mistakes import careless_answer
from models.problems import STEP_BREAK, Record, check, step_labels
from reward.generative import answer_turns
from reward.judge import judge_turns

_RIGHT_SHARE = 0.45
_MOST_STEPS = 5
_PRAISE = ("Every step is right.", "I find no mistake.", "All steps are right.")

Turns = list[dict[str, str]]


def critique(rng: random.Random, record: Record, answer: str) -> str:
    """Name the first wrong step of a complete answer, or say that there is none."""
    labels = step_labels(record, answer.split(STEP_BREAK))
    if all(labels):
        return rng.choice(_PRAISE)
    return f"Step {labels.index(False) + 1} is wrong."


def refine(rng: random.Random, records: Iterator[Record]) -> Turns:
    """A question, an answer, its critique, and a better answer."""
    record, answer = _answered(rng, records)
    return [
        _said("user", record["question"]),
        _said("assistant", answer),
        _said("user", critique_request()),
        _said("assistant", critique(rng, record, answer)),
        _said("user", rewrite_request()),
        _said("assistant", record["solution"]),
    ]


def grade(rng: random.Random, records: Iterator[Record]) -> Turns:
    """MCTSr's grade, from -100 to 100 and never full marks."""
    record, answer = _answered(rng, records)
    score = rng.randint(70, 95) if check(record, answer) else rng.randint(-95, -60)
    verdict = f"{critique(rng, record, answer)}\nScore: {score}"
    return [_said("user", grade_request(record["question"], answer)), _said("assistant", verdict)]


def judge(rng: random.Random, records: Iterator[Record]) -> Turns:
    """A judge's verdict, from 0 to 10."""
    record, answer = _answered(rng, records)
    score = rng.randint(8, 10) if check(record, answer) else rng.randint(0, 2)
    verdict = f"{critique(rng, record, answer)}\nScore: {score}"
    return [*_plain(judge_turns(record["question"], answer)), _said("assistant", verdict)]


def self_evaluation(rng: random.Random, records: Iterator[Record]) -> Turns:
    """Yes or No to the question whether an answer is right."""
    record, answer = _answered(rng, records)
    word = "Yes" if check(record, answer) else "No"
    return [*_plain(answer_turns(record["question"], answer)), _said("assistant", word)]


ABOUT_ANSWERS: dict[str, Callable[[random.Random, Iterator[Record]], Turns]] = {
    "refine": refine,
    "grade": grade,
    "judge": judge,
    "self-evaluation": self_evaluation,
}


def _answered(rng: random.Random, records: Iterator[Record]) -> tuple[Record, str]:
    """Draw a problem that is not long, with a complete answer that may be wrong."""
    record = next(record for record in records if record["solution"].count(STEP_BREAK) <= _MOST_STEPS)
    if rng.random() < _RIGHT_SHARE:
        return record, record["solution"]
    while True:
        answer = careless_answer(rng, record)
        if "\\boxed{" in answer:
            return record, answer


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _plain(turns: list[Turn]) -> Turns:
    return [_said(turn.role, turn.content) for turn in turns]
