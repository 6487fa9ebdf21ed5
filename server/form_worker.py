"""A program of its own that tells whether a JSON Schema can be compiled. Run by ``server.form_checker``.

It reads one JSON object a line from standard input, ``{"schema": …, "seconds": 0.5}``, and writes one a line:
``{"fault": ""}``, or what is wrong. The first line it writes is ``{"ready": true}``. It imports nothing of ours.

A schema is a stranger's: it can make the grammar's compiler run for long, run out of memory or crash (a million
required items are enough), and what it does there it would do to the server and to the engine. So the system ends this
process when a question has taken ``seconds`` of processor time, and memory is limited.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable

MEMORY_BYTES = 2**30
OPEN_FILES = 64
LONGEST_FAULT = 200


def limit_resources() -> None:
    """Takes away what a check does not need, where the system can."""
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


def load() -> Callable[[str], str]:
    """Loads the compiler that the engine uses, over bytes in place of the model's tokens; it tells faults."""
    from llguidance import LLMatcher, LLTokenizer

    tokens = LLTokenizer("byte")

    def fault_in(schema: str) -> str:
        try:
            grammar = LLMatcher.grammar_from_json_schema(schema, defaults={"whitespace_flexible": False})
            reason = LLMatcher.validate_grammar(grammar, tokens)
        except Exception as error:  # noqa: BLE001 - whatever the compiler raises, this schema cannot be used
            reason = str(error) or type(error).__name__
        return f"it cannot be compiled: {' '.join(reason.split())[:LONGEST_FAULT]}" if reason else ""

    fault_in("{}")
    return fault_in


def main() -> None:
    """Answers questions until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a package prints is no reply
    os.environ.clear()
    logging.disable(logging.CRITICAL)  # a text of a client's belongs in no log
    limit_resources()
    fault_in = load()
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        limit_time(question["seconds"])
        fault = fault_in(question["schema"])
        limit_time(0)
        print(json.dumps({"fault": fault}), file=replies, flush=True)


if __name__ == "__main__":
    main()
