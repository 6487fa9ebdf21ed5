"""Text out of tokens: offsets, characters over several tokens, stop strings, and streams that never take back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.replies import Assembler, ending
from engine.sampling import stop_strings
from engine.transcript import Transcript, find_stop
from mcts.errors import EngineCallFailed
from mcts.ports import Finish, SampleRequest, Sampling
from mcts.stops import could_begin

EOS = 300
NO_EOS: frozenset[int] = frozenset({EOS})


class Bytes:
    """One token per byte, as byte-level tokenizers have at the bottom, and two tokens of three characters each."""

    def decode_text(self, token_ids: Sequence[int], *, skip_special: bool) -> str:
        """Invalid bytes come out as U+FFFD."""
        parts = [self._bytes(token, skip_special=skip_special) for token in token_ids]
        return b"".join(parts).decode("utf-8", errors="replace")

    def _bytes(self, token: int, *, skip_special: bool) -> bytes:
        if token == EOS:
            return b"" if skip_special else b"<eos>"
        return {256: b".\n\n", 257: b"\n\n#"}.get(token) or bytes([token])


class Flat:
    """Log-probabilities as vLLM gives them: the chosen token, then the likeliest."""

    def __init__(self, count: int, top: int = 0, value: float = -1.0) -> None:
        self.start_indices = [i * (1 + top) for i in range(count)]
        self.token_ids = [5] * count * (1 + top)
        self.logprobs = [value] * count * (1 + top)


def transcript(text: str, prefix: str = "") -> Transcript:
    """A transcript that has read a text byte by byte."""
    made = Transcript(Bytes(), list(prefix.encode()))
    made.read(text.encode())
    return made


@given(st.text(max_size=40), st.text(max_size=10))
def test_text_is_what_the_bytes_say(text: str, prefix: str) -> None:
    """Joined pieces are the text, and a character is gained by its last byte."""
    made = transcript(text, prefix)
    whole = text.rstrip("\ufffd") if text.endswith("\ufffd") else text
    assert made.text.startswith(whole)
    sizes = [len(character.encode()) for character in whole]
    for i, end in enumerate(np.cumsum(sizes)):
        assert made.ends[end - 1] >= i + 1
        assert sizes[i] == 1 or "\ufffd" in text or made.ends[end - 2] == i


def test_character_begun_in_the_prefix_is_gained_by_its_last_byte() -> None:
    """Where a path was cut in the middle of a character, the rest of it completes the character."""
    rocket = "🚀".encode()
    made = Transcript(Bytes(), [*b"go ", *rocket[:2]])
    made.read([*rocket[2:], *b"!"])
    assert made.text == "🚀!"
    assert made.ends == [0, 1, 2]


def test_bytes_that_form_no_character_do_not_pile_up() -> None:
    """A model that writes only broken bytes gets replacement characters, not an endless wait."""
    made = Transcript(Bytes(), [])
    made.read([0x80] * 100)
    assert made.text
    assert set(made.text) == {"\ufffd"}


def test_earliest_complete_stop_wins() -> None:
    """Not the one that starts first, but the one that is complete first; of equals the first listed."""
    made = transcript("xxabcd")
    assert find_stop(made, ("abcd", "bc"), 0) == ("bc", 3)
    assert find_stop(made, ("cd", "abcd"), 0) == ("cd", 4)
    assert find_stop(made, ("zz",), 0) is None
    assert find_stop(made, ("xx",), 5) is None


@given(st.text(alphabet="ab", max_size=12), st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3))
def test_could_begin_is_the_longest_open_start(text: str, stops: list[str]) -> None:
    """As many characters are held back as may still become a stop string, and no more."""
    lengths = [n for stop in stops for n in range(len(stop)) if n <= len(text) and text.endswith(stop[:n])]
    assert could_begin(text, stops) == max(lengths, default=0)


def request(**changes: object) -> SampleRequest:
    """A request whose sampling is given by fields."""
    delimiters = changes.pop("delimiters", ())
    return SampleRequest((1,), delimiters=delimiters, sampling=Sampling(**changes))  # type: ignore[arg-type]


def test_token_that_runs_past_the_delimiter_stays_whole() -> None:
    """Text and tokens of a step must agree, so the whole last token belongs to it."""
    made = Transcript(Bytes(), [])
    made.read([97, 257])
    end = ending(request(delimiters=("\n\n",)), made, "stop", "\n\n", NO_EOS)
    assert (end.finish, end.visible) == (Finish.DELIMITER, 4)


def test_client_stop_in_the_delimiters_token_counts() -> None:
    """The engine names the delimiter, complete first; the client's stop in the same token ends the answer."""
    made = Transcript(Bytes(), [])
    made.read([97, 257])
    end = ending(request(delimiters=("\n\n",), stop=("\n#",)), made, "stop", "\n\n", NO_EOS)
    assert (end.finish, end.stop, end.visible) == (Finish.STOP, "\n#", 2)


def test_further_eos_tokens_of_the_generation_config_are_ends() -> None:
    """The engine reports them by id, as it does the client's stop tokens; they are told apart."""
    made = Transcript(Bytes(), [], skip_special=False)
    made.read([97, EOS])
    assert ending(request(), made, "stop", EOS, NO_EOS).finish is Finish.EOS
    end = ending(request(stop_token_ids=(EOS,)), made, "stop", EOS, NO_EOS)
    assert (end.finish, end.stop, end.visible) == (Finish.STOP, EOS, 1)
    assert ending(request(stop_token_ids=(EOS,), include_stop=True), made, "stop", EOS, NO_EOS).visible == 6


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_given_up_continuations_are_failures(reason: str) -> None:
    """What the engine aborted is no answer that happened to be short (D4)."""
    with pytest.raises(EngineCallFailed, match=reason):
        ending(request(), transcript("a"), reason, None, NO_EOS)


def test_log_probability_that_is_no_number_fails_the_call() -> None:
    """A poisoned reply never reaches a search."""
    assembler = Assembler(request(), transcript(""), NO_EOS)
    with pytest.raises(EngineCallFailed, match="not numbers"):
        assembler.add([97], Flat(1, value=float("nan")))


def test_stops_come_before_delimiters() -> None:
    """The client's strings are listed first, each string once."""
    assert stop_strings(request(stop=("b", "a"), delimiters=("a", "c"))) == ["b", "a", "c"]


@given(
    st.lists(st.sampled_from([*b"ab\n", 256, 257, *"é".encode()]), min_size=1, max_size=30),
    st.lists(st.sampled_from(["ab", "ba\n", "\n#", "aab"]), max_size=2, unique=True),
    st.data(),
)
def test_stream_gives_what_the_whole_gives(tokens: list[int], stops: list[str], data: st.DataObject) -> None:
    """However the tokens arrive, the pieces joined are the whole, and the stop string never shows."""
    asked = request(stop=tuple(stops))
    finder = Transcript(Bytes(), [])
    for count, token in enumerate(tokens, start=1):
        finder.read([token])
        if find_stop(finder, stops, count - 1):
            tokens = tokens[:count]
            break
    found = find_stop(finder, stops, len(tokens) - 1)
    reason, stop = ("stop", found[0]) if found else ("length", None)

    whole = Assembler(asked, Transcript(Bytes(), []), NO_EOS)
    whole.add(tokens, Flat(len(tokens)))
    expected = whole.last(reason, stop, 0)

    streamed, pieces, at = Assembler(asked, Transcript(Bytes(), []), NO_EOS), [], 0
    while at < len(tokens):
        size = data.draw(st.integers(1, 4))
        streamed.add(tokens[at : at + size], Flat(len(tokens[at : at + size])))
        at += size
        piece = streamed.piece(0) if at < len(tokens) else streamed.last(reason, stop, 0)
        pieces += [piece] if piece else []
    assert "".join(piece.text for piece in pieces) == expected.text
    assert tuple(token for piece in pieces for token in piece.token_ids) == expected.token_ids
    bases = np.cumsum([0, *(len(piece.text) for piece in pieces)])
    offsets = np.concatenate([piece.offsets + base for piece, base in zip(pieces, bases, strict=False)])
    assert offsets.tolist() == expected.offsets.tolist()
    if found:
        assert expected.text + found[0] in finder.text
