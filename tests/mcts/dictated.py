"""Worlds whose engine says what it is told in the order it is told, so that searches of many samples have no chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward
from engine.scripted_language import SPECIAL, Options, ScriptedTokenizer
from mcts.ports import Continuation, Path, SampleRequest
from tests.mcts.toys import World

Dictation = Mapping[str, Sequence[str]]
"""After which text come which pieces: the first draw there begins with the first, the next with the next, around and
around. What follows within one draw takes the first piece of each place, and so do greedy draws. "" ends the text, and
so does a place that is not there."""


class DictatedEngine(ScriptedEngine):
    """Says what stands in a dictation."""

    def __init__(self, dictation: Dictation, **settings: Any) -> None:
        pieces = dict.fromkeys(piece for told in dictation.values() for piece in told if piece)
        super().__init__(tokenizer=ScriptedTokenizer(tuple(pieces)), **settings)
        self.dictation = dictation
        self.drawn: Counter[str] = Counter()

    def _draw(self, request: SampleRequest, i: int) -> Continuation:
        begin = self.written(request)
        turn = self.drawn[begin] if request.sampling.temperature else 0
        self.drawn[begin] += bool(request.sampling.temperature)

        def script(_: str, answer: str) -> Options:
            told = self.dictation.get(answer, ("",))
            return [(told[turn % len(told) if answer == begin else 0], 1.0)]

        self.script = script
        return super()._draw(request, i)

    def written(self, request: SampleRequest) -> str:
        """The answer so far that a request continues."""
        return self.tokenizer.decode(request.prefix).rpartition(SPECIAL[-1])[2]

    def asked(self) -> list[tuple[str, int]]:
        """The requests so far: after which text, how many continuations."""
        return [(self.written(request), request.n) for request in self.requests]


def dictated(dictation: Dictation, worth: Mapping[str, float] | Callable[[Path], float], **engine: Any) -> World:
    """A world on a dictation. ``worth`` may be a table of texts (without white space); what is missing is worth 0.5."""
    if isinstance(worth, Mapping):
        table = worth
        return dictated(dictation, lambda path: table.get("".join(path.text.split()), 0.5), **engine)
    return World(DictatedEngine(dictation, **engine), ScriptedReward(worth))
