"""A program of its own that tells whether a JSON Schema can be used. Run by ``server.form_checker``.

It reads one JSON object a line from standard input, ``{"schema": …, "compile": true, "seconds": 0.5}``, and writes
one a line: ``{"fault": ""}``, or what is wrong. The first line it writes is ``{"ready": true}``. ``{"load": true}``
loads the compiler first, which takes seconds. It imports nothing of ours.

A schema is a stranger's: it can make the grammar's compiler run for long, run out of memory or crash, and what it does
there it would do to the engine. So the system ends this process when a question has taken ``seconds`` of processor
time, and memory is limited.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import signal
import sys
from typing import Any

MEMORY_BYTES = 2 * 2**30
"""Of address space. The compiler and what it is written in take a tenth of it."""

OPEN_FILES = 256
LONGEST_FAULT = 200


def limit_resources() -> None:
    """Takes away what a check does not need, where the system can."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def forbid_files() -> None:
    """From now on nothing is written. Packages may want to while they are imported."""
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def limit_time(seconds: float) -> None:
    """The system ends this process once it has computed for so long from now on; 0 takes the limit away."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, seconds)  # nothing handles its signal, whose default is to end the process


@functools.cache
def compiler() -> Any:
    """The compiler that the engine will use, over the 256 bytes in place of the model's tokens."""
    import llguidance

    made = llguidance, llguidance.LLTokenizer("byte")
    forbid_files()
    return made


def compile_schema(schema: str) -> None:
    """Does with a schema what the engine does before the first token.

    Raises:
        ValueError: It cannot be compiled.
    """
    guidance, tokens = compiler()
    grammar = guidance.LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
    matcher = guidance.LLMatcher(tokens, grammar)
    if not matcher.get_error():
        matcher.compute_logit_bias()
    if fault := matcher.get_error():
        raise ValueError(fault.partition("<state>")[0])


def fault_in(schema: str, *, compiled: bool) -> str:
    """What is wrong with a schema; empty for nothing."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    read = json.loads(schema)
    try:
        validator_for(read).check_schema(read)
        if compiled:
            compile_schema(schema)
    except SchemaError as error:
        return f"not a JSON Schema: {error.message[:LONGEST_FAULT]}"
    except Exception as error:  # noqa: BLE001 - whatever the compiler raises, this schema cannot be used
        return f"it cannot be compiled: {' '.join(str(error).split())[:LONGEST_FAULT] or type(error).__name__}"
    return ""


def main() -> None:
    """Answers questions until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a package prints is no reply
    os.environ.clear()
    logging.disable(logging.CRITICAL)  # a text of a client's belongs in no log
    limit_resources()
    fault_in("{}", compiled=False)  # imports what is needed
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        if question.get("load"):
            compiler()
            print(json.dumps({"loaded": True}), file=replies, flush=True)
            continue
        limit_time(question["seconds"])
        fault = fault_in(question["schema"], compiled=question["compile"])
        limit_time(0)
        print(json.dumps({"fault": fault}), file=replies, flush=True)


if __name__ == "__main__":
    main()
