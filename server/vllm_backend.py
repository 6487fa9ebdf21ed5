"""Loads vLLM engines in this process: one that writes and, where a reward model is set, one that scores."""

from __future__ import annotations

import asyncio
import functools
import logging
from dataclasses import replace
from pathlib import Path

from engine.model_folder import check_one_label, check_runner, read_card
from engine.pair import EnginePair, RewardEngine, make_engines
from engine.pooling import OutcomeEngine, TagEngine
from engine.served import ServedModel
from engine.settings import EngineSettings
from engine.vllm_engine import VllmEngine
from mcts.errors import StartupError
from mcts.ports import Sampling
from reward.conventions import AnswerConvention, Family, LabelConvention, TagConvention
from reward.families import family_for
from reward.labels import EngineLabels
from reward.registry import PROCESS_REWARD, LoadedModel, Reading
from server.backend import Backend, Report
from server.bundled import BUNDLED_MODEL, bundled
from server.engine_statistics import EngineStatistics
from server.histograms import DeferredHistogram
from server.rewards import make_answers, make_rewards
from server.settings import Settings

_log = logging.getLogger(__name__)


def check_models(settings: Settings) -> None:
    """Looks at the models' folders before anything heavy is imported.

    Raises:
        StartupError: A folder is missing or holds the wrong kind of model.
    """
    try:
        check_runner(read_card(settings.model), "generate")
        if path := settings.reward_model_path:
            family, card = _family(settings, path), read_card(path)
            _reading(settings).check(family)
            check_runner(card, "generate" if isinstance(family, LabelConvention) else "pooling")
            if isinstance(family, AnswerConvention):
                check_one_label(card)
    except StartupError as error:
        hint = " Make the bundled models with: make train" if settings.model == bundled(BUNDLED_MODEL) else ""
        raise StartupError(f"{error}{hint}") from None


async def load_vllm(settings: Settings, report: Report) -> Backend:
    """Starts the engines and warms them up.

    Raises:
        StartupError: One of them does not start.
    """
    report("reading the tokenizers")
    statistics = EngineStatistics()
    pair = await asyncio.to_thread(_pair, settings, statistics)
    names = {"generation": settings.model_name, "reward": Path(settings.reward_model_path or "").name}
    await pair.start(lambda engine, phase: report(f"{names[engine]}: {phase}"))
    _tell_started(pair)
    try:
        return _backend(pair, settings, statistics)
    except BaseException:
        await pair.close()
        raise


def _backend(pair: EnginePair, settings: Settings, statistics: EngineStatistics) -> Backend:
    writer, scorer = pair.generation, pair.reward
    loaded = _loaded(settings, scorer) if scorer else None
    model, name = (loaded.reward(), loaded.name) if loaded else (None, PROCESS_REWARD)
    if scorer:
        _warn_of_short_reading(writer, scorer)
    return Backend(
        engine=writer,
        tokenizer=writer.tokenizer,
        answers=make_answers(settings),
        rewards=make_rewards(settings, writer.tokenizer, model, name),
        sampling=_recommended(writer),
        max_model_len=writer.info.max_model_len,
        vocab_size=writer.info.vocab_size,
        constrains=True,
        compiles=True,
        close=pair.close,
        healthy=lambda: pair.healthy,
        revive=lambda: _revive(pair),
        registries=lambda: statistics.registries,
    )


async def _revive(pair: EnginePair) -> None:
    await pair.revive()
    _tell_started(pair)


def _tell_started(pair: EnginePair) -> None:
    """Logs which processes the engines are, for whoever looks after them."""
    for role, engine in (("generation", pair.generation), ("reward", pair.reward)):
        if engine is not None:
            fields = {"engine": role, "model": engine.info.model, "pids": list(engine.process.process_ids)}
            _log.info("engine started", extra={"fields": fields})


def writer_settings(settings: Settings) -> EngineSettings:
    """What the settings say about the engine that writes."""
    return EngineSettings(
        model=settings.model,
        dtype=settings.dtype,
        max_model_len=settings.max_model_len,
        gpu_memory=settings.gpu_memory_utilization,
        kv_cache_gib=settings.kv_cache_gib,
        tensor_parallel_size=settings.tensor_parallel_size,
        pipeline_parallel_size=settings.pipeline_parallel_size,
        data_parallel_size=settings.data_parallel_size,
        distributed_executor_backend=settings.distributed_executor_backend,
        quantization=settings.quantization,
        enforce_eager=settings.enforce_eager,
        max_num_seqs=settings.max_num_seqs,
        threads=settings.threads,
        hang_seconds=settings.engine_hang_seconds,
        extra=settings.engine_arg,
    )


def scorer_settings(settings: Settings, path: str) -> EngineSettings:
    """What the settings say about the engine that scores."""
    return EngineSettings(
        model=path,
        gpu_memory=settings.reward_gpu_memory_utilization,
        kv_cache_gib=settings.reward_kv_cache_gib,
        tensor_parallel_size=settings.tensor_parallel_size,
        distributed_executor_backend=settings.distributed_executor_backend,
        enforce_eager=settings.enforce_eager,
        threads=settings.threads,
        hang_seconds=settings.engine_hang_seconds,
        extra=settings.reward_engine_arg,
    )


def _recommended(writer: VllmEngine) -> Sampling:
    """What the model's generation_config.json says about drawing tokens, as vLLM's own server takes it."""
    told = writer.process.llm.model_config.get_diff_sampling_param()
    known = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
    return Sampling(**{name: told[name] for name in known if told.get(name) is not None})


def _warn_of_short_reading(writer: VllmEngine, scorer: ServedModel) -> None:
    """A path that the reward model cannot read fails its search, so the operator should know early."""
    writes, reads = writer.info.max_model_len, scorer.info.max_model_len
    if reads < writes:
        _log.warning("the reward model reads %d tokens, fewer than the %d that the model writes", reads, writes)


def _pair(settings: Settings, statistics: EngineStatistics) -> EnginePair:
    path = settings.reward_model_path
    writer = _counted(writer_settings(settings), settings.model_name, settings, statistics)
    if path is None:
        return make_engines(writer)
    name = Path(path).name
    scorer = scorer_settings(settings, path)
    scorer = _counted(scorer, f"{name}-reward" if name == writer.name else name, settings, statistics)
    return make_engines(writer, scorer, _engine_for(_family(settings, path)))


def _counted(engine: EngineSettings, name: str, settings: Settings, statistics: EngineStatistics) -> EngineSettings:
    """An engine's settings with the name of its metrics, which no other has, and where they go."""
    if not settings.engine_metrics:
        return replace(engine, name=name)
    return replace(engine, name=name, new_registry=statistics.of(name), histogram=DeferredHistogram)


def _engine_for(family: Family) -> RewardEngine:
    """What serves a reward model of that family."""
    if isinstance(family, TagConvention):
        return functools.partial(TagEngine, step_tag=family.tag)
    return VllmEngine if isinstance(family, LabelConvention) else OutcomeEngine


def _loaded(settings: Settings, scorer: ServedModel) -> LoadedModel:
    """The reward model behind a running engine. Its architecture has the last word on a hub model's family."""
    family = _family(settings, scorer.info.model, scorer.info.architecture)
    if isinstance(scorer, VllmEngine):
        return LoadedModel(EngineLabels(scorer), scorer.tokenizer, family, _reading(settings))
    if isinstance(scorer, (TagEngine, OutcomeEngine)):
        return LoadedModel(scorer, scorer.tokenizer, family, _reading(settings))
    raise StartupError(f"{type(scorer).__name__} serves no reward model.")


def _reading(settings: Settings) -> Reading:
    return Reading(settings.reward_aggregate, settings.reward_center, settings.reward_scale)


def _family(settings: Settings, path: str, architecture: str = "") -> Family:
    """The reward model's family. Of a hub model only the name is known before it is loaded."""
    return family_for(path, architecture or read_card(path).architecture, settings.reward_convention)
