"""Stop texts of the client where a path is written in several calls: one may begin in one step and end in the next.

The engine looks for them in each continuation; what it cannot see is the text before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mcts.ports import Continuation, Finish, Sampling, Step


def stopped(before: Sequence[Step], drawn: Continuation, sampling: Sampling) -> Continuation:
    """Ends a continuation at the client's stop text that is complete first in the path, seen across its steps.

    Args:
        before: The steps that it continues; a prefill of the client's is none.
        drawn: What the engine wrote after them.
        sampling: The client's stop texts. Those that end within the least number of tokens do not count.

    Returns:
        The continuation itself where there is no such text. Otherwise its tokens up to the one that completes it, its
        text without the stop text (with it where the client keeps it) and in ``trims`` how many characters of the
        steps before belong to it.
    """
    longest = max(map(len, sampling.stop), default=0)
    if not longest:
        return drawn
    tail = _tail(before, longest - 1)
    written = sum(len(step.token_ids) for step in before)
    first = min(_endings(tail, drawn, sampling, written), default=None)
    if first is None:
        return drawn
    count, end, place = first
    stop = sampling.stop[place]
    visible = end if sampling.include_stop else end - len(stop)
    kept = max(0, visible)
    return replace(
        drawn,
        token_ids=drawn.token_ids[:count],
        text=drawn.text[:kept],
        offsets=np.minimum(drawn.offsets[:count], kept),
        logprobs=drawn.logprobs[:count],
        top_ids=drawn.top_ids[:count],
        top_logprobs=drawn.top_logprobs[:count],
        finish=Finish.STOP,
        stop=stop,
        trims=max(0, -visible),
    )


def trimmed(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Steps as the client sees them: a stop text that ends in one of them is gone from those before it, too."""
    shown: list[Step] = []
    for step in steps:
        left = step.trims
        for place in range(len(shown) - 1, -1, -1):
            if not left:
                break
            text = shown[place].text
            shown[place] = replace(shown[place], text=text[: max(0, len(text) - left)])
            left -= min(left, len(text))
        shown.append(replace(step, trims=0) if step.trims else step)
    return tuple(shown)


def certain(steps: Sequence[Step], stops: Sequence[str]) -> str:
    """What is sure to stay of a path that goes on: its text without an end that might begin a stop text."""
    text = "".join(step.text for step in trimmed(steps))
    return text[: len(text) - could_begin(text, stops)]


def could_begin(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of ``text`` might be the beginning of a stop string."""
    longest = 0
    for stop in stops:
        for length in range(min(len(stop) - 1, len(text)), longest, -1):
            if text.endswith(stop[:length]):
                longest = length
                break
    return longest


def _tail(steps: Sequence[Step], length: int) -> str:
    """The last characters of a path."""
    text = ""
    for step in reversed(steps):
        if len(text) >= length:
            break
        text = step.text + text
    return text[len(text) - min(length, len(text)) :]


def _endings(tail: str, drawn: Continuation, sampling: Sampling, written: int) -> Iterator[tuple[int, int, int]]:
    """Where each stop text is first complete: tokens of the continuation, characters of it, place in the list."""
    text = tail + drawn.text
    for place, stop in enumerate(sampling.stop):
        at = text.find(stop, max(0, len(tail) - len(stop) + 1))
        while at >= 0:
            end = at + len(stop) - len(tail)
            count = int(np.searchsorted(drawn.offsets, end, side="left")) + 1
            if count <= len(drawn.token_ids) and written + count > sampling.min_tokens:
                yield count, end, place
                break
            at = text.find(stop, at + 1)
