"""Has vLLM look at its environment variables while engines start, and never between.

vLLM asks the environment anew whenever its code names a variable, several times for every token of every sequence. Its
engines' own processes leave that off once they are up; the process that talks to them does it here.
"""

from __future__ import annotations

import sys
import threading
from types import TracebackType


class LiveVariables:
    """While at least one thread is inside, variables are read when they are asked for; else as they were last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            if (envs := sys.modules.get("vllm.envs")) is not None:
                envs.disable_envs_cache()
            self._inside += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self._inside -= 1
            # vLLM may have been imported inside, or may not be there at all.
            if not self._inside and (envs := sys.modules.get("vllm.envs")) is not None:
                envs.enable_envs_cache()


live_variables = LiveVariables()
"""The variables are the process's, so there is one."""
