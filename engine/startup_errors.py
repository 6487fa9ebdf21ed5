"""Turns what vLLM says when it does not start into one line that tells the operator what to do."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

from mcts.errors import StartupError

_MEMORY = (
    "available memory on node",
    "no available memory",
    "kv cache is needed",
    "larger than the available kv cache",
    "out of memory",
    "free memory on device",
    "not enough memory",
    "cannot allocate memory",
    "bad_alloc",
    "can't allocate memory",
)
_NO_KERNELS = "'_opnamespace' '_c' object has no attribute"
NEEDED_LIBRARY = "libnuma.so.1"
"""What vLLM's kernels for CPUs are linked against; where it is missing, vLLM goes on without them, up to a point."""

_ERROR_LINE = re.compile(r"^(?:\([^)]*\) )*(?:\w+ \S+ \S+ \[[^\]]*\] )?([A-Za-z_][\w.]*(?:Error|Exception)): (.+)$")
_NOT_THE_CAUSE = ("engine core initialization failed", "worker failed with error", "workerproc initialization failed")
_LONGEST = 400


def missing_package(error: ImportError) -> StartupError:
    """The error for a package that is not installed."""
    name = (error.name or "vllm").partition(".")[0]
    return StartupError(
        f"The package {name!r} is not installed, so no engine can run in this process. "
        "Install 'espalier[cpu]' or 'espalier[gpu]', or point the server to remote engines."
    )


def explain(model: str, error: BaseException, log: Path | None) -> StartupError:
    """The error for an engine that failed to start.

    Args:
        model: Which model.
        error: What the start raised in this process.
        log: Where the engine's own process wrote; its last error is the cause when there is one.
    """
    message = last_error(log) or _own_words(error)
    lowered = message.lower()
    where = ""
    if log is not None and log.is_file():
        if log.stat().st_size:
            where = f" vLLM's own log is in {log}."
        else:
            log.unlink()
    if any(sign in lowered for sign in _MEMORY):
        advice = "Lower the cache (kv_cache_gib, gpu_memory) or max_model_len, or free memory."
        return StartupError(f"Not enough memory for the model {model!r}: {message} {advice}{where}")
    if _NO_KERNELS in lowered and not _loads(NEEDED_LIBRARY):
        return StartupError(
            f"vLLM's kernels for CPUs do not load, because the system library {NEEDED_LIBRARY} is missing: install it "
            f"(Debian and Ubuntu: apt-get install libnuma1).{where}"
        )
    if not last_error(log) and "-9" in str(error):
        return StartupError(f"The engine of {model!r} was killed while it started: most likely memory ran out.{where}")
    return StartupError(f"The model {model!r} does not start: {message}{where}")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _own_words(error: BaseException) -> str:
    """What an exception says: of a pydantic error only the first complaint, without the values it lists."""
    complaints = error.errors() if hasattr(error, "errors") else []
    text = str(complaints[0].get("msg", "")) if complaints else str(error)
    return _one_line(text).removeprefix("Value error, ") or type(error).__name__


def last_error(log: Path | None) -> str:
    """The last exception in the log that is a cause and not its echo; empty when there is none."""
    if log is None or not log.is_file():
        return ""
    found = [match[2] for line in log.read_text(errors="replace").splitlines() if (match := _ERROR_LINE.match(line))]
    causes = [each for each in found if not each.lower().startswith(_NOT_THE_CAUSE)]
    return _one_line(causes[-1]) if causes else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
