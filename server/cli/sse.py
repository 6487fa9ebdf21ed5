"""Lines of an event stream, out of pieces of text that end anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def lines_of(pieces: Iterable[str]) -> Iterator[str]:
    r"""The lines, without their ends. Only ``\n`` and ``\r\n`` end one.

    ``str.splitlines``, and with it httpx's ``iter_lines``, would also cut at U+2028 and its like, which JSON may hold.
    """
    held: list[str] = []
    for piece in pieces:
        first, *others = piece.split("\n")
        held.append(first)
        for other in others:
            yield "".join(held).removesuffix("\r")
            held = [other]
    if last := "".join(held):
        yield last
