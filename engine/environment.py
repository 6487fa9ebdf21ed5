"""Environment variables and log levels that vLLM, torch and transformers read when they are imported.

Everything is set in one place and before those imports. What the operator has set stays as it is, but for how engines'
processes are started.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from types import TracebackType

QUIET = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TOKENIZERS_PARALLELISM": "false",  # engines are started after tokenizers have run, which it would warn about
    "TORCH_CPP_LOG_LEVEL": "ERROR",
}


def prepare(*, offline: bool) -> None:
    """Sets what is not set yet, and that processes are spawned.

    Args:
        offline: No model comes from a hub, so no hub may be asked for anything. Counts only before transformers is
            imported.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # vLLM forks by default where there is a GPU. A forked engine would hold the other end of its own lifeline and
    # outlive a killed server; and forking a process that has threads may lock it up.
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
    if offline:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # reports on CPU that there is no Triton


class QuietWarnings:
    """While at least one thread is inside, Python's warnings are off.

    ``warnings.catch_warnings`` alone is no match for threads: of two that overlap, the last to leave would put back
    the filters that the first had set, and warnings would stay off for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._caught.__exit__(kind, error, at)


quiet_warnings = QuietWarnings()
"""For what vLLM, torch and transformers warn about in their own code. Filters are the process's, so there is one."""
