"""What an operator can set about an engine, with defaults that start on a laptop's CPU and on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

CPU_KV_CACHE_GIB = 1.0
CPU_REWARD_KV_CACHE_GIB = 0.25
"""The reward engine keeps no prefix between calls: it needs room for the paths of the moment only."""

GPU_MEMORY_ALONE = 0.90
GPU_MEMORY_GENERATION = 0.55
GPU_MEMORY_REWARD = 0.30
"""Shares of one GPU when both engines live on it. vLLM counts each engine's share of the *whole* memory and refuses
to start when less than that is free, so all shares together must stay below 1, with room for CUDA contexts."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How one vLLM engine is started. None leaves a choice to the platform's default.

    Args:
        model: Folder of the model, or a hub id such as ``Qwen/Qwen2.5-7B-Instruct``.
        dtype: ``auto`` (what the model was saved in), ``float32``, ``bfloat16`` or ``float16``.
        max_model_len: Longest prompt plus answer, in tokens; at least 1. None takes the model's own limit.
        block_size: Tokens per block of the prefix cache. None is 32 on CPU (whose attention takes multiples of 32) and
            16 on GPU; smaller blocks share more of a tree.
        gpu_memory: Share of each GPU's memory for weights, activations and cache, in (0, 1). None is 0.90 for an engine
            alone, 0.55 for generation beside a reward engine, 0.30 for the reward engine.
        kv_cache_gib: GiB for the key-value cache, above 0. None is 1 on CPU (0.25 for rewards) and on GPU what
            ``gpu_memory`` leaves.
        tensor_parallel_size: GPUs that share each layer; at least 1.
        pipeline_parallel_size: Groups of GPUs that share the stack of layers; at least 1.
        data_parallel_size: Copies of the model; at least 1.
        distributed_executor_backend: What starts the workers of an engine that spreads over several: ``mp`` on one
            machine, ``ray`` over several. None leaves it to vLLM.
        quantization: A method that vLLM knows, such as ``fp8``; None takes what the model declares.
        enforce_eager: Skip compilation and CUDA graphs. None is True on CPU, where compiling costs 10 s of start for
            little speed, and False on GPU.
        max_num_seqs: Most sequences in one batch; at least 1. None is 256 on CPU, and vLLM's own on GPU.
        max_num_batched_tokens: Most tokens in one batch. None leaves it to vLLM; the reward engine takes at least
            ``max_model_len``, because it reads every path in one piece.
        threads: CPU threads of the engine; at least 1. None is all cores the process may use but one, and half of them
            each where two engines share them: threads beyond the cores wait for each other by spinning, which costs
            far more than they bring. Without effect on GPU.
        seed: Seed of draws without a seed of their own.
        trust_remote_code: Run Python code that comes with the model. Off, because that is arbitrary code.
        log_level: Of vLLM's own log.
        log_to_terminal: Show vLLM's log and tracebacks instead of keeping them in a file.
        name: What vLLM's own metrics call the model; empty is as vLLM does, after its path.
        new_registry: Gives the ``prometheus_client`` registry for vLLM's own metrics, a new one each time that the
            engine starts. None has vLLM count nothing.
        histogram: Class of the histograms there, a ``prometheus_client.Histogram`` too. None is that one itself.
        extra: Further fields of vLLM's ``AsyncEngineArgs``, passed on as they are; they win over all of the above.
    """

    model: str
    dtype: str = "auto"
    max_model_len: int | None = None
    block_size: int | None = None
    gpu_memory: float | None = None
    kv_cache_gib: float | None = None
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1
    distributed_executor_backend: str | None = None
    quantization: str | None = None
    enforce_eager: bool | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    threads: int | None = None
    seed: int = 0
    trust_remote_code: bool = False
    log_level: str = "ERROR"
    log_to_terminal: bool = False
    hang_seconds: float | None = None
    name: str = ""
    new_registry: Callable[[], Any] | None = None
    histogram: type[Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def workers(self) -> int:
        """Processes or devices that one engine spreads over."""
        return self.tensor_parallel_size * self.pipeline_parallel_size * self.data_parallel_size


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Facts about a running engine.

    Args:
        model: As it was given in the settings.
        architecture: The first in the model's ``config.json``.
        max_model_len: Longest prompt plus answer, in tokens.
        vocab_size: Rows of the embedding; token ids are below it.
        eos_ids: Tokens that end a text.
        vllm_version: Of the installed package.
        device: ``cpu``, ``cuda``, …
        dtype: What the weights are held in.
        log_path: File with vLLM's own log; empty when it goes to the terminal.
    """

    model: str
    architecture: str
    max_model_len: int
    vocab_size: int
    eos_ids: frozenset[int]
    vllm_version: str
    device: str
    dtype: str
    log_path: str
