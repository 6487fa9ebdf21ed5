"""An ``EngineSettings`` in vLLM's words, with what each platform needs."""

from __future__ import annotations

import os
import shutil
from typing import Any

from engine.model_folder import ModelCard, Runner
from engine.settings import CPU_KV_CACHE_GIB, CPU_REWARD_KV_CACHE_GIB, GPU_MEMORY_ALONE, EngineSettings

GIB = 1 << 30

CPU_MAX_NUM_SEQS = 256
CPU_BLOCK_SIZE = 32
GPU_BLOCK_SIZE = 16


def engine_arguments(settings: EngineSettings, card: ModelCard, runner: Runner, *, cpu: bool) -> dict[str, Any]:
    """Fields of vLLM's ``AsyncEngineArgs``; those left to vLLM are absent. ``settings.extra`` wins over all.

    On a CPU with one worker this also sets the environment variable that spares vLLM its worker process.
    """
    chosen: dict[str, Any] = {
        "model": card.source,
        "runner": runner,
        "max_model_len": settings.max_model_len,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "pipeline_parallel_size": settings.pipeline_parallel_size,
        "data_parallel_size": settings.data_parallel_size,
        "distributed_executor_backend": settings.distributed_executor_backend,
        "quantization": settings.quantization,
        "max_num_batched_tokens": settings.max_num_batched_tokens,
        "seed": settings.seed,
        "trust_remote_code": settings.trust_remote_code,
        "log_level": settings.log_level,
        "served_model_name": settings.name or None,
        "disable_log_stats": settings.new_registry is None,
    }
    chosen |= _cpu_arguments(settings, card, runner) if cpu else _gpu_arguments(settings)
    return {name: value for name, value in chosen.items() if value is not None} | dict(settings.extra)


def _cpu_arguments(settings: EngineSettings, card: ModelCard, runner: Runner) -> dict[str, Any]:
    alone = settings.workers == 1 and settings.distributed_executor_backend in {None, "uni"}
    if alone:
        # vLLM puts a worker process between its scheduler and the model so that it can bind threads. One process
        # fewer starts 10 s sooner, saves 400 MB and is faster for models small enough for a CPU.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    eager = settings.enforce_eager is not False
    if eager and not _compiles():
        # Eager engines still compile a helper or two of vLLM's (those that rank log-probabilities), with a C++
        # compiler, at the first request; without one the engine would die of it.
        os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    cache = CPU_KV_CACHE_GIB if runner == "generate" else CPU_REWARD_KV_CACHE_GIB
    return {
        "dtype": card.dtype or "auto" if settings.dtype == "auto" else settings.dtype,
        "block_size": settings.block_size or CPU_BLOCK_SIZE,
        "kv_cache_memory_bytes": int((settings.kv_cache_gib or cache) * GIB),
        "enforce_eager": eager,
        # A seeded request whose prompt is read in pieces makes vLLM 0.32 rewind the request's generator after each
        # piece, which a CPU generator cannot: the engine dies ("CPU Generator does not use offset").
        "enable_chunked_prefill": False,
        "max_num_seqs": settings.max_num_seqs or CPU_MAX_NUM_SEQS,
        "distributed_executor_backend": settings.distributed_executor_backend or ("uni" if alone else None),
    }


def _compiles() -> bool:
    return shutil.which(os.environ.get("CXX", "g++")) is not None


def _gpu_arguments(settings: EngineSettings) -> dict[str, Any]:
    return {
        "dtype": settings.dtype,
        "block_size": settings.block_size or GPU_BLOCK_SIZE,
        "gpu_memory_utilization": settings.gpu_memory or GPU_MEMORY_ALONE,
        "kv_cache_memory_bytes": int(settings.kv_cache_gib * GIB) if settings.kv_cache_gib else None,
        "enforce_eager": bool(settings.enforce_eager),
        "max_num_seqs": settings.max_num_seqs,
    }
