"""Text of others for a terminal: whatever it holds, it cannot steer the terminal or look like lines of ours."""

from __future__ import annotations

KEPT = frozenset("\n\t")
"""Characters that do not print and are harmless where a text may have lines of its own."""


def plain(text: str, *, lines: bool = False) -> str:
    r"""The text with every character that does not print escaped (``\x1b``, ``\u202e``).

    That covers escape sequences, line breaks of every kind, and marks that turn the direction of writing.

    Args:
        text: From a model, a client or a file.
        lines: Whether line feeds and tabs may stay; other line breaks never do.
    """
    return "".join(
        each if each.isprintable() or (lines and each in KEPT) else each.encode("unicode_escape").decode()
        for each in text
    )


def short(text: str, most: int) -> str:
    """A text on one line of at most so many characters, its blanks drawn together."""
    flat = plain(" ".join(text.split()))
    return flat if len(flat) <= most else flat[: most - 1] + "…"
