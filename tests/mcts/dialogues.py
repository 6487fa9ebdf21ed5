"""Scripted models that criticise, rewrite and grade as declared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward
from engine.scripted_language import END, Options
from mcts.ports import SampleRequest
from mcts.strategies.refine_prompts import CRITIQUE_REQUEST, GRADE_REQUEST, REWRITE_REQUEST
from tests.mcts.toys import World, worth_of

TURN = re.compile(r"<(?:system|user|assistant)>")


@dataclass
class Dialogue:
    """What a model says.

    Args:
        first: Answers to the bare question.
        rewrites: Answers made of an answer, by its text; an answer that is not here is repeated as it is.
        grades: Scores of an answer by its text; a text instead of a number is the whole judgement.
        critique: What it says about any answer.
    """

    first: Options
    rewrites: Mapping[str, Options] = field(default_factory=dict)
    grades: Mapping[str, Sequence[float | str]] = field(default_factory=dict)
    critique: Options = (("It is weak.", 1.0),)

    def options(self, prompt: str) -> Options:
        """What may be said after a prompt."""
        turns = TURN.split(prompt)[1:-1]
        if turns[-1].endswith(GRADE_REQUEST):
            answer = turns[-1].removesuffix(f"\n\n{GRADE_REQUEST}").rpartition("\n\nAnswer:\n")[2]
            said = [f"Hm.\nScore: {each:g}" if isinstance(each, int | float) else each for each in self._grade(answer)]
            return [(text, 1 / len(said)) for text in said]
        if turns[-1] == CRITIQUE_REQUEST:
            return self.critique
        if turns[-1] == REWRITE_REQUEST:
            return self.rewrites.get(turns[-4], [(turns[-4], 1.0)])
        return self.first

    def _grade(self, answer: str) -> Sequence[float | str]:
        return self.grades.get(answer, [0.0])

    def script(self, prompt: str, said: str) -> Options | None:
        """The script of an engine that holds this dialogue."""
        options = self.options(prompt)
        if not said:
            return [(text or END, odds) for text, odds in options]
        return [(END, 1.0)] if any(said == text for text, _ in options) else None


def dialogue(says: Dialogue, worth: Mapping[str, float] | None = None, **engine: Any) -> World:
    """A world in which the model holds a dialogue; one character is one token."""
    return World(ScriptedEngine(says.script, **engine), ScriptedReward(worth_of(worth or {})))


def kind(request: SampleRequest, where: World) -> str:
    """What a call was for: ``answer``, ``critique``, ``rewrite`` or ``grade``."""
    turns = TURN.split(where.engine.tokenizer.decode(request.prefix))[1:-1]
    if turns[-1].endswith(GRADE_REQUEST):
        return "grade"
    return {CRITIQUE_REQUEST: "critique", REWRITE_REQUEST: "rewrite"}.get(turns[-1], "answer")


def kinds(where: World) -> list[str]:
    """What the calls so far were for, in their order."""
    return [kind(request, where) for request in where.engine.requests]
