"""Every setting of the server in one model. ``server.configuration`` fills it from flags, environment and file.

The order of the fields and their ``group`` are the order and the sections of ``espalier serve --help`` and of
docs/settings.md. Durations are in seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from server.bundled import BUNDLED_MODEL, BUNDLED_REWARD_MODEL, bundled
from server.remote_settings import RemoteSettings
from server.setting_kinds import Names, Pairs
from server.setting_kinds import setting as _field
from server.tool_parsers import ToolFormat

MODEL, ENGINE, SEARCH, LIMITS, LOAD = (
    "model",
    "engine",
    "search defaults",
    "limits on one request",
    "load",
)


class Settings(RemoteSettings):
    """What an operator can choose. Immutable."""

    model: str = _field(MODEL, bundled(BUNDLED_MODEL), "Folder or Hugging Face name of the model that writes.", "PATH")
    served_model_name: str = _field(
        MODEL, "", "Name clients use for the model. Default: the last part of its path.", "NAME"
    )
    reward_model: str = _field(
        MODEL,
        "",
        "The reward model, which scores steps or whole answers, or 'none'. "
        f"Default: {BUNDLED_REWARD_MODEL} with the bundled model, else none.",
        "PATH",
    )
    reward_convention: str = _field(
        MODEL,
        "",
        "How the reward model is asked: qwen-math, math-shepherd, rlhflow-mistral, rlhflow-deepseek, "
        "rlhflow-orm, skywork-o1, outcome (a sequence classifier with one label), or "
        "generative (any chat model, Yes or No per step). Default: known by its architecture or name.",
        "NAME",
    )
    reward_aggregate: Literal["last", "min", "product", "mean"] | None = _field(
        MODEL,
        None,
        "How step rewards become the path's reward: last, min, product or mean. "
        "Default: as published for the reward model.",
        "RULE",
    )
    reward_center: float | None = _field(
        MODEL, None, "Of an outcome reward model: the raw score that is worth 0.5. Default: 0.", "LOGIT"
    )
    reward_scale: float | None = _field(
        MODEL,
        None,
        "Of an outcome reward model: how far above reward_center is worth 0.73. Higher tells far scores apart better "
        "and near ones worse. Default: 1.",
        "LOGITS",
        gt=0,
    )

    reward_function: Pairs = _field(
        MODEL,
        {},
        "A reward of your own: an async or plain Python function of question and answer that gives 0 to 1. Repeatable.",
        "NAME=PACKAGE.MODULE:FUNCTION",
    )
    reward_json_schema: str = _field(
        MODEL, "", "JSON Schema file; makes the reward json_schema: 1 for answers that it accepts.", "PATH"
    )
    reward_mix: Pairs = _field(
        MODEL,
        {},
        "A reward made of others by weights, such as mine=prm*0.7+confidence*0.3. Repeatable.",
        "NAME=REWARD*WEIGHT+...",
    )
    reasoning_format: Literal["auto", "none"] = _field(
        MODEL,
        "auto",
        "Where chats show a thought that the model writes as <think>...</think> or <Thought>...</Thought>: in the "
        "reasoning fields (auto), or in the content as it came.",
    )
    tool_call_parser: ToolFormat = _field(
        MODEL, "hermes", "How the model writes calls of tools: hermes (Qwen's too), llama3_json or mistral."
    )
    judge_votes: int = _field(
        MODEL, 1, "Verdicts per answer of the reward judge. Higher is steadier and dearer.", "N", ge=1, le=16
    )
    judge_max_tokens: int = _field(
        MODEL, 512, "Longest verdict of the judge. Higher lets it reason longer.", "TOKENS", ge=16, le=32_768
    )

    answer_rules: Names = _field(
        MODEL,
        (),
        "How final answers are found, in order: boxed, tag, hashes, phrase, number, json, pattern; or none for free "
        "text. Repeatable, or with commas. Default: boxed, tag, hashes, phrase.",
        "RULE",
    )
    answer_json_field: str = _field(MODEL, "answer", "Field that the answer rule json reads.", "NAME", min_length=1)
    answer_pattern: str = _field(
        MODEL,
        "",
        "Regular expression of the answer rule pattern: its last match, the first group where it has one. Tried first "
        "unless answer_rules says otherwise.",
        "REGEX",
    )
    answer_equivalence: Literal["math-verify", "exact"] = _field(
        MODEL, "math-verify", "How answers are compared: exact is by value or text, math-verify also by algebra."
    )

    engine: Literal["vllm", "scripted"] = _field(
        ENGINE, "vllm", "What generates: vLLM (in this process, or behind engine_url), or a toy for trying the API."
    )
    max_model_len: int | None = _field(
        ENGINE, None, "Longest prompt plus answer. Higher needs more memory. Default: the model's own.", "TOKENS", ge=16
    )
    dtype: str = _field(ENGINE, "auto", "Number format of the weights: auto, bfloat16, float16 or float32.", "TYPE")
    quantization: str | None = _field(ENGINE, None, "vLLM's quantization method, such as fp8 or awq.", "METHOD")
    gpu_memory_utilization: float | None = _field(
        ENGINE,
        None,
        "On a GPU: share of its memory for the model and its cache. Higher fits more searches at once. "
        "Default: 0.9 alone, 0.55 beside a reward model.",
        "SHARE",
        gt=0,
        lt=1,
    )
    reward_gpu_memory_utilization: float | None = _field(
        ENGINE, None, "On a GPU: share for the reward model; both must stay below 1. Default: 0.3.", "SHARE", gt=0, lt=1
    )
    kv_cache_gib: float | None = _field(
        ENGINE,
        None,
        "Memory for the model's cache. Higher fits more searches at once. Default on a CPU: 1.",
        "GIB",
        gt=0,
    )
    reward_kv_cache_gib: float | None = _field(
        ENGINE, None, "Memory for the reward model's cache. Default on a CPU: 0.25.", "GIB", gt=0
    )
    max_num_seqs: int | None = _field(
        ENGINE, None, "Most texts generated in one batch. Higher serves more at once, each slower.", "N", ge=1
    )
    threads: int | None = _field(ENGINE, None, "On a CPU: threads of the engine. Default: all cores.", "N", ge=1)
    tensor_parallel_size: int = _field(ENGINE, 1, "GPUs that share each layer. Higher fits larger models.", "N", ge=1)
    pipeline_parallel_size: int = _field(
        ENGINE, 1, "Stages the layers are split into. Higher fits larger models.", "N", ge=1
    )
    data_parallel_size: int = _field(ENGINE, 1, "Copies of the model. Higher serves more searches at once.", "N", ge=1)
    distributed_executor_backend: Literal["mp", "ray", "uni", "external_launcher"] | None = _field(
        ENGINE,
        None,
        "What starts the workers of an engine that spreads over several GPUs: mp on one machine, ray over several. "
        "Default: vLLM's choice.",
        "NAME",
    )
    enforce_eager: bool | None = _field(
        ENGINE, None, "Skip compilation and CUDA graphs: starts faster, generates slower. Default: true on a CPU."
    )
    on_engine_death: Literal["restart", "exit"] = _field(
        ENGINE,
        "restart",
        "What follows when an engine's process dies or hangs: it is started again, or this process ends with exit code "
        "1 for its supervisor to replace.",
    )
    engine_hang_seconds: float = _field(
        ENGINE,
        120.0,
        "How long an engine may be at work without a sign of life before it is killed. Higher bears slower steps.",
        "SECONDS",
        ge=1,
    )
    engine_metrics: bool = _field(
        ENGINE, True, "Have vLLM count what it does and serve its own metrics (vllm:*) at /metrics beside ours."
    )
    engine_arg: Pairs = _field(ENGINE, {}, "Any other vLLM engine argument for the model; repeatable.", "KEY=VALUE")
    reward_engine_arg: Pairs = _field(
        ENGINE, {}, "Any other vLLM engine argument for the reward model; repeatable.", "KEY=VALUE"
    )

    default_preset: str = _field(SEARCH, "uct", "Preset behind the plain model name; /v1/models lists all.", "PRESET")
    default_reward: str = _field(
        SEARCH,
        "",
        "Reward where request and preset name none. Default: that of the reward model, else confidence.",
        "REWARD",
    )
    default_simulations: int = _field(
        SEARCH, 32, "Simulations of a tree search. Higher answers better and slower.", "N", ge=1
    )
    default_samples: int = _field(
        SEARCH, 16, "Samples of majority and best-of-N. Higher answers better and slower.", "N", ge=1
    )
    default_seconds: float | None = _field(
        SEARCH, None, "Deadline of one search. Default: max_seconds.", "SECONDS", gt=0
    )
    default_max_tokens: int = _field(
        SEARCH,
        2048,
        "Longest answer path where the client sets none, within the room left. Higher lets answers run longer.",
        "TOKENS",
        ge=1,
    )
    default_temperature: float | None = _field(
        SEARCH,
        None,
        "Sampling temperature where the client sets none. Higher grows more varied trees. "
        "Default: the model's generation_config.json, else 1.",
        "T",
        ge=0,
        le=2,
    )

    max_simulations: int = _field(LIMITS, 1024, "Most simulations a request may ask for.", "N", ge=1)
    max_samples: int = _field(
        LIMITS, 256, "Most samples, beams or particles a request may ask for.", "N", ge=1, le=1024
    )
    max_width: int = _field(LIMITS, 64, "Most simulations in flight within one search.", "N", ge=1, le=256)
    max_branch: int = _field(LIMITS, 20, "Most continuations per expansion.", "N", ge=1, le=20)
    max_depth: int = _field(LIMITS, 512, "Deepest tree.", "N", ge=1, le=512)
    max_choices: int = _field(LIMITS, 16, "Most answers (n) of one request.", "N", ge=1)
    max_seconds: float = _field(LIMITS, 600.0, "Longest deadline; also ends searches that set none.", "SECONDS", gt=0)
    max_search_tokens: int = _field(
        LIMITS,
        4_000_000,
        "Most tokens a search could generate: simulations x branch x max_tokens, or its token budget.",
        "TOKENS",
        ge=1,
    )

    max_searches: int = _field(
        LOAD, 64, "Searches that run at once. Higher uses the engine better and slows each.", "N", ge=1
    )
    max_queue: int = _field(
        LOAD, 128, "Searches that wait for a place; the next gets 429. Higher turns fewer away.", "N", ge=0
    )
    queue_seconds: float = _field(
        LOAD, 30.0, "Longest wait for a place, then 429. Higher turns fewer away.", "SECONDS", gt=0
    )
    max_searches_per_key: int | None = _field(
        LOAD,
        None,
        "Searches that one key may have running and waiting; the next gets 429. Default: no limit.",
        "N",
        ge=1,
    )
    max_engine_calls: int | None = _field(
        LOAD,
        None,
        "Calls to the engine that may be open at once; searches take turns at them. Higher fills the engine's batch "
        "better, lower keeps each call faster. Default: no limit.",
        "N",
        ge=1,
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.gpu_memory_utilization or 0) + (self.reward_gpu_memory_utilization or 0) >= 1:
            raise ValueError("gpu_memory_utilization and reward_gpu_memory_utilization add up to 1 or more")
        if self.engine_url and self.engine == "scripted":
            raise ValueError("engine_url and the scripted engine exclude each other")
        if self.engine_url and not self.reward_url and self.reward_model.lower() not in {"", "none"}:
            raise ValueError("reward_model with engine_url needs reward_url: the servers of the reward model")
        return self

    @property
    def model_name(self) -> str:
        """The name clients use for the model."""
        return self.served_model_name or Path(self.model).name or self.model

    @property
    def reward_model_path(self) -> str | None:
        """Where the reward model is; None when none is to be loaded."""
        if self.engine_url and not self.reward_url:
            return None
        if self.reward_model:
            return None if self.reward_model.lower() == "none" else self.reward_model
        return bundled(BUNDLED_REWARD_MODEL) if self.model == bundled(BUNDLED_MODEL) else None
