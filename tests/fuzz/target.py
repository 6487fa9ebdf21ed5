"""``python -m tests.fuzz.target NAME FLAGS``: one property under atheris; the flags are libFuzzer's.

It ends with a status that is not 0 at the first input that breaks the property, and writes that input into a file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["reward", "server", "mcts"]):
    from server.thoughts import FORMATS
    from tests.fuzz import properties


def _cuts(data: atheris.FuzzedDataProvider) -> list[int]:
    return data.ConsumeIntListInRange(data.ConsumeIntInRange(0, 8), 0, 10_000)


def _rest(data: atheris.FuzzedDataProvider) -> str:
    return str(data.ConsumeUnicodeNoSurrogates(data.remaining_bytes()))


def _thoughts(data: atheris.FuzzedDataProvider) -> None:
    opened = data.PickValueInList([None, *FORMATS])
    cuts = _cuts(data)
    properties.a_thought_is_split_alike(_rest(data), cuts, opened)


def _stream(data: atheris.FuzzedDataProvider) -> None:
    cuts = _cuts(data)
    properties.a_stream_is_read_alike(_rest(data), cuts)


def _calls(data: atheris.FuzzedDataProvider) -> None:
    form = data.PickValueInList(["hermes", "llama3_json", "mistral"])
    cuts = _cuts(data)
    properties.calls_are_read_or_left(_rest(data), cuts, form)


TARGETS: dict[str, Callable[[atheris.FuzzedDataProvider], None]] = {
    "answers": lambda data: properties.an_answer_is_found_or_none(_rest(data)),
    "thoughts": _thoughts,
    "stream": _stream,
    "calls": _calls,
    "body": lambda data: properties.a_body_is_read_or_refused(data.ConsumeBytes(data.remaining_bytes())),
}


def main() -> None:
    """Fuzzes; libFuzzer ends the process."""
    test = TARGETS[sys.argv.pop(1)]

    def one(data: bytes) -> None:
        test(atheris.FuzzedDataProvider(data))

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
