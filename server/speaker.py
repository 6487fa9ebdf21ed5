"""One answer told as it is written: its thought as reasoning, its text as content, its calls of tools at the end."""

from __future__ import annotations

from collections.abc import Iterator

from server.chunks import Chunks
from server.replies import call_id
from server.schemas.reply import CalledFunction, Logprobs, ToolCallPiece
from server.thoughts import Piece, ThoughtSplitter, split
from server.tool_parsers import Parsed
from server.tooling import Tooling


class Speaker:
    """Tells one answer.

    Args:
        chunks: Makes the pieces.
        index: Of the answer.
        splitter: Tells its thought apart; None where that is not wanted.
        tooling: Tells calls of tools apart; None without tools.

    Attributes:
        called: Whether calls have been told.
    """

    def __init__(self, chunks: Chunks, index: int, splitter: ThoughtSplitter | None, tooling: Tooling | None) -> None:
        self.called = False
        self._chunks, self._index, self._splitter, self._tooling = chunks, index, splitter, tooling
        self._watch = tooling.watch() if tooling else None
        self._spoken = ""  # the answer so far, its thought left out

    def feed(self, text: str) -> Iterator[bytes]:
        """Takes more text; tells what is known of it."""
        if self._splitter:
            yield from (each for piece in self._splitter.feed(text) for each in self._told(piece))
        elif text:
            yield from self._told(Piece(text, thought=False))

    def end(self) -> Iterator[bytes]:
        """Tells what was held back: nothing more comes."""
        if self._splitter:
            yield from (each for piece in self._splitter.end() for each in self._told(piece))
        if self._tooling and self._watch:
            parsed = self._tooling.read(self._spoken)
            if rest := self._watch.end(parsed):
                yield self._chunks.content(self._index, rest)
            yield from self._calls(parsed)

    def whole(self, text: str, logprobs: Logprobs) -> Iterator[bytes]:
        """Tells an answer with tools that was not told as it was written, all its log-probabilities in one piece."""
        told = split(text, self._splitter) if self._splitter else None
        if told and told.thought:
            yield self._chunks.reasoning(self._index, told.thought)
        spoken = told.answer if told else text
        parsed = self._tooling.read(spoken) if self._tooling else Parsed(spoken)
        yield self._chunks.content(self._index, parsed.content, logprobs)
        yield from self._calls(parsed)

    def _told(self, piece: Piece) -> Iterator[bytes]:
        if piece.thought:
            yield self._chunks.reasoning(self._index, piece.text)
            return
        self._spoken += piece.text
        text = self._watch.feed(piece.text) if self._watch else piece.text
        if text:
            yield self._chunks.content(self._index, text)

    def _calls(self, parsed: Parsed) -> Iterator[bytes]:
        """Each call in two pieces, as OpenAI's own streams begin: who is called, then with what."""
        for number, call in enumerate(parsed.calls):
            self.called = True
            named = CalledFunction(name=call.name, arguments="")
            yield self._chunks.call(
                self._index, ToolCallPiece(index=number, id=call_id(), type="function", function=named)
            )
            given = CalledFunction(arguments=call.arguments)
            yield self._chunks.call(self._index, ToolCallPiece(index=number, function=given))
