"""Environment variables and log levels that vLLM, torch and transformers read when they are imported.

Everything is set in one place and before those imports. What the operator has set stays as it is.
"""

from __future__ import annotations

import logging
import os

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
    """Sets what is not set yet.

    Args:
        offline: No model comes from a hub, so none may be asked for one.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if offline:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # reports on CPU that there is no Triton
