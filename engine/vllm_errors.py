"""vLLM's exceptions as this project's: the request's fault, this call's, or the end of the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mcts.errors import (
    EngineCallFailed,
    EngineDead,
    EspalierError,
    InvalidRequest,
    NotReady,
    RewardCallFailed,
    RewardDead,
)

if TYPE_CHECKING:
    from engine.vllm_process import VllmProcess

LONGEST_REASON = 200
"""Characters of a foreign message that are passed on."""


@asynccontextmanager
async def engine_errors(process: VllmProcess) -> AsyncIterator[None]:
    """Translates what a call to an engine raises; what is this project's already stays.

    Raises:
        InvalidRequest: vLLM refuses the request.
        EngineCallFailed, RewardCallFailed: This call failed, of an engine that generates or scores.
        EngineDead, RewardDead: The engine is gone.
    """
    try:
        yield
    except NotReady as error:  # it was closed meanwhile, to be started again
        raise _death(process) from error
    except EspalierError:
        raise
    except Exception as error:
        raise _translated(error, process) from error


def _translated(error: Exception, process: VllmProcess) -> EspalierError:
    from vllm.exceptions import VLLMClientError
    from vllm.v1.engine.exceptions import EngineDeadError

    scores = process.runner == "pooling"
    name = "reward engine" if scores else "engine"
    if isinstance(error, EngineDeadError) or not process.healthy:
        process.report_death()
        return _death(process)
    cause = error.__cause__ or error
    reason = " ".join(str(cause).split())[:LONGEST_REASON] or type(cause).__name__
    if isinstance(error, VLLMClientError):
        return InvalidRequest(reason, getattr(error, "parameter", None))
    message = f"A call to the {name} failed: {reason}"
    return RewardCallFailed(message) if scores else EngineCallFailed(message)


def _death(process: VllmProcess) -> EngineDead | RewardDead:
    return (
        RewardDead("The reward engine is gone.") if process.runner == "pooling" else EngineDead("The engine is gone.")
    )
