r"""A program of its own that tells whether two expressions are the same, by math-verify. Run by ``verifier_process``.

It reads one JSON object a line from standard input, ``{"gold": …, "answer": …, "seconds": 1.0}`` with expressions in
LaTeX, and writes one a line, ``{"same": true}``. The first line it writes is ``{"ready": true}``. Both ends are pipes.
It imports nothing of ours, and nothing of ours imports it: math-verify and sympy are loaded here alone.

math-verify's own limits in time raise an exception from a signal, which waits while a power of whole numbers is
computed, and work on wall time. They are off. Instead the system ends this process when a question has taken
``seconds`` of processor time, whatever it is at, and whoever runs it kills it when there is no reply for long.

It works on text that a stranger may have written, so it gives up what it does not need: memory beyond a limit, writing
files, its environment. Only LaTeX is parsed, by a grammar; math-verify's other parser, for plain expressions, evaluates
Python and is not used.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import signal
import sys
from collections.abc import Callable

MEMORY_BYTES = 2**30
OPEN_FILES = 64


def limit_resources() -> None:
    """Takes away what a comparison does not need, where the system can."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def limit_time(seconds: float) -> None:
    """The system ends this process once it has computed for so long from now on; 0 takes the limit away."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, seconds)  # nothing handles its signal, whose default is to end the process


def load() -> Callable[[str, str], bool]:
    """Loads math-verify, and gives the function of gold and answer that asks it."""
    from math_verify import LatexExtractionConfig, LatexNormalizationConfig, parse, verify

    # Units are taken off before: as math-verify does it, x + 2t would be x + 2.
    normal = LatexNormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="all", equations=False
    )
    how = (LatexExtractionConfig(boxed_match_priority=0, normalization_config=normal),)

    @functools.lru_cache(maxsize=256)
    def read(expression: str) -> list[object]:
        return list(parse(f"$\\boxed{{{expression}}}$", how, fallback_mode="no_fallback", parsing_timeout=None))

    def same(gold: str, answer: str) -> bool:
        return bool(verify(read(gold), read(answer), timeout_seconds=None))

    same("x + 1", "1 + x")  # the grammar's tables are made at the first use
    return same


def main() -> None:
    """Answers questions until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a package prints is no reply
    os.environ.clear()
    logging.disable(logging.CRITICAL)  # a text of a client's belongs in no log
    limit_resources()
    same = load()
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        limit_time(question["seconds"])
        try:
            verdict = same(question["gold"], question["answer"])
        except Exception:  # noqa: BLE001 - memory, recursion, whatever sympy raises: not known to be the same
            verdict = False
        limit_time(0)
        print(json.dumps({"same": verdict}), file=replies, flush=True)


if __name__ == "__main__":
    main()
