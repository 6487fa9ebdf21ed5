"""A model's thought apart from its answer: ``<think>…</think>`` and ``<Thought>…</Thought><Output>…</Output>``.

A thought stands at the beginning, or the prompt has opened it already. Text without one passes unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from server.assignments import Assignment
from server.settings import Settings

PROMPT_TAIL = 16
"""Tokens at a prompt's end among which a template may have opened a thought."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What stands around a thought and, in some formats, around the answer."""

    begin: str
    end: str
    answer_begin: str = ""
    answer_end: str = ""


FORMATS = (
    Marks("<think>", "</think>"),  # DeepSeek-R1, Qwen3
    Marks("<Thought>", "</Thought>", "<Output>", "</Output>"),  # Marco-o1
)


class _Place(Enum):
    START = auto()
    THOUGHT = auto()
    BETWEEN = auto()
    TAGGED = auto()
    ANSWER = auto()


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text and which of the two it belongs to."""

    text: str
    thought: bool


@dataclass(slots=True)
class ThoughtSplitter:
    """Splits one answer as it is written. What may be half a mark is held back until it is known.

    Attributes:
        marks: The format, once it is known; one that the prompt has opened is known from the start.
        answer_from: Characters of the whole text before the answer's first one; None as long as there is none.
    """

    marks: Marks | None = None
    answer_from: int | None = None
    _place: _Place = field(init=False)
    _held: str = ""
    _read: int = 0  # characters of the whole text that are no longer held

    def __post_init__(self) -> None:
        self._place = _Place.THOUGHT if self.marks else _Place.START

    def feed(self, text: str) -> Iterator[Piece]:
        """Takes more text and gives what is known of it."""
        self._held += text
        yield from self._pieces(ended=False)

    def end(self) -> Iterator[Piece]:
        """Gives what was held back: nothing more comes."""
        yield from self._pieces(ended=True)

    def _pieces(self, *, ended: bool) -> Iterator[Piece]:
        before = None
        while before is not self._place:  # each place may lead on to the next within one piece
            before = self._place
            yield from self._step(ended)

    def _step(self, ended: bool) -> Iterator[Piece]:
        match self._place:
            case _Place.START:
                return self._start(ended)
            case _Place.THOUGHT:
                return self._thought(ended)
            case _Place.BETWEEN:
                return self._between(ended)
            case _Place.TAGGED:
                return self._tagged(ended)
            case _Place.ANSWER:
                return self._answer()

    def _start(self, ended: bool) -> Iterator[Piece]:
        bare = self._held.lstrip()
        for marks in FORMATS:
            if bare.startswith(marks.begin):
                self.marks, self._place = marks, _Place.THOUGHT
                self._take(len(self._held) - len(bare) + len(marks.begin))
                return
        if ended or not any(marks.begin.startswith(bare) for marks in FORMATS):
            self._place = _Place.ANSWER
        yield from ()

    def _thought(self, ended: bool) -> Iterator[Piece]:
        assert self.marks  # noqa: S101 - no thought without its marks
        yield from self._until(self.marks.end, _Place.BETWEEN, ended, thought=True)

    def _between(self, ended: bool) -> Iterator[Piece]:
        self._take(len(self._held) - len(self._held.lstrip()))
        begin = self.marks.answer_begin if self.marks else ""
        if begin and self._held.startswith(begin):
            self._take(len(begin))
            self._place = _Place.TAGGED
        elif self._held and (ended or not begin.startswith(self._held)):
            self._place = _Place.ANSWER
        yield from ()

    def _tagged(self, ended: bool) -> Iterator[Piece]:
        assert self.marks  # noqa: S101 - no tag without its marks
        yield from self._until(self.marks.answer_end, _Place.ANSWER, ended, thought=False)

    def _answer(self) -> Iterator[Piece]:
        yield from self._given(len(self._held), thought=False)

    def _until(self, mark: str, after: _Place, ended: bool, *, thought: bool) -> Iterator[Piece]:
        """Gives text up to a mark; what may be the mark's beginning stays held."""
        at = self._held.find(mark)
        if at >= 0:
            yield from self._given(at, thought=thought)
            self._take(len(mark))
            self._place = after
            return
        kept = 0 if ended else next(n for n in range(len(mark) - 1, -1, -1) if self._held.endswith(mark[:n]))
        yield from self._given(len(self._held) - kept, thought=thought)

    def _given(self, length: int, *, thought: bool) -> Iterator[Piece]:
        if not length:
            return
        if not thought and self.answer_from is None:
            self.answer_from = self._read
        yield Piece(self._take(length), thought)

    def _take(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        self._read += length
        return taken


@dataclass(frozen=True, slots=True)
class Split:
    """A whole text, split. ``answer_from`` is as in ``ThoughtSplitter``; the text's length where there is no answer."""

    thought: str | None
    answer: str
    answer_from: int


def split(text: str, splitter: ThoughtSplitter) -> Split:
    """Splits a whole text; ``thought`` is None where it holds none."""
    pieces = [*splitter.feed(text), *splitter.end()]
    thought = "".join(piece.text for piece in pieces if piece.thought)
    answer = "".join(piece.text for piece in pieces if not piece.thought)
    start = len(text) if splitter.answer_from is None else splitter.answer_from
    return Split(thought if splitter.marks else None, answer, start)


def splits_thoughts(settings: Settings) -> bool:
    """Whether chats show thoughts apart from answers."""
    return settings.reasoning_format == "auto"


def spoken(text: str, assignment: Assignment, settings: Settings) -> str:
    """What of a whole text is answer, not thought."""
    return split(text, splitter_for(assignment)).answer if splits_thoughts(settings) else text


def splitter_for(assignment: Assignment) -> ThoughtSplitter:
    """A splitter for an answer to this prompt, whose template may have opened a thought."""
    prompt = assignment.task.prompt
    if prompt.prefill:
        return ThoughtSplitter()
    tail = assignment.backend.tokenizer.decode(prompt.token_ids[-PROMPT_TAIL:]).rstrip()
    return ThoughtSplitter(next((marks for marks in FORMATS if tail.endswith(marks.begin)), None))
