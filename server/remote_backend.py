"""Puts engines elsewhere behind the ports: a fleet that writes and, where one is set, a fleet that scores.

Needs neither torch nor vllm. Both fleets are found first by what one of their servers says about its model; then the
tokenizers are loaded, and every server is looked at before it is sent anything.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine.model_folder import ModelCard, read_tokenizer_card
from engine.remote.fleet import ENGINES, REWARD_ENGINES, Fleet, Names, Probe
from engine.remote.generation import RemoteEngine
from engine.remote.introduction import Introduction, first_introduction
from engine.remote.pooling import RemoteLogits, RemoteTags, tag_of
from engine.remote.probes import GenerationProbe, PoolingProbe
from engine.remote.settings import FleetSettings
from engine.remote.wire import Wire
from engine.tokenizer import HFTokenizer, load_tokenizer
from mcts.errors import StartupError
from mcts.ports import Sampling
from reward.conventions import AnswerConvention, LabelConvention
from reward.families import family_for
from reward.labels import EngineLabels
from reward.registry import PROCESS_REWARD, LoadedModel, Reading
from server.backend import Backend, Report
from server.fleet_metrics import fleet_registry
from server.rewards import make_answers, make_rewards
from server.settings import Settings

_log = logging.getLogger(__name__)

Made = TypeVar("Made")

DRAWS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
"""What a model may recommend about drawing tokens."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fleet's tokenizer comes from, and what its model is."""

    introduction: Introduction
    path: str
    card: ModelCard
    tokenizer: HFTokenizer


async def load_remote(settings: Settings, report: Report) -> Backend:
    """Finds the servers and waits until one of each kind answers.

    Raises:
        StartupError: None of a kind does, or one lacks what is needed; the message names the setting and the lack.
    """
    started: list[Fleet] = []
    try:
        source, engine = await _generation(settings, report, started)
        loaded = await _reward(settings, report, started) if settings.reward_url else None
        return _backend(settings, source, engine, loaded, started)
    except BaseException:
        await _close(started)
        raise


def generation_settings(settings: Settings) -> FleetSettings:
    """What the settings say about the servers that generate."""
    return FleetSettings(
        addresses=settings.engine_url,
        api_key=settings.engine_api_key.get_secret_value(),
        model=settings.engine_model,
        **_watching(settings),
    )


def reward_settings(settings: Settings) -> FleetSettings:
    """What the settings say about the servers that score."""
    return FleetSettings(
        addresses=settings.reward_url,
        setting="reward_url",
        key_setting="reward_api_key",
        api_key=(settings.reward_api_key or settings.engine_api_key).get_secret_value(),
        model=settings.reward_engine_model,
        **_watching(settings),
    )


def _watching(settings: Settings) -> dict[str, Any]:
    return {
        "ca_file": settings.engine_ca_file,
        "connect_seconds": settings.engine_connect_seconds,
        "silence_seconds": settings.engine_hang_seconds,
        "check_seconds": settings.engine_check_seconds,
        "check_timeout": settings.engine_check_timeout,
        "resolve_seconds": settings.engine_resolve_seconds,
        "load_factor": settings.engine_load_factor,
        "spill_from": settings.engine_spill_from,
        "patience_seconds": settings.engine_patience_seconds,
        "start_seconds": settings.engine_start_seconds,
    }


async def _generation(settings: Settings, report: Report, started: list[Fleet]) -> tuple[Source, RemoteEngine]:
    fleet_settings, wire = generation_settings(settings), Wire(generation_settings(settings))
    given = settings.tokenizer or ("" if settings.model == Settings.model_fields["model"].default else settings.model)
    source = await _source(fleet_settings, wire, given, "tokenizer", report)
    fleet = await _fleet(
        fleet_settings, wire, GenerationProbe(fleet_settings, source.tokenizer), ENGINES, report, started
    )
    length = _length(settings.max_model_len, fleet, source)
    return source, RemoteEngine(fleet, source.tokenizer, _ends(source), length)


async def _reward(settings: Settings, report: Report, started: list[Fleet]) -> LoadedModel:
    """The reward model behind its servers, asked as its family wants it."""
    fleet_settings, wire = reward_settings(settings), Wire(reward_settings(settings))
    source = await _source(
        fleet_settings, wire, settings.reward_tokenizer or settings.reward_model, "reward_tokenizer", report
    )
    named = settings.reward_model or source.introduction.root or source.introduction.name
    family = family_for(named, source.card.architecture, settings.reward_convention)
    reading = Reading(settings.reward_aggregate, settings.reward_center, settings.reward_scale)
    reading.check(family)
    tokenizer, probe = source.tokenizer, _scoring_probe(fleet_settings, source.tokenizer, family)
    fleet = await _fleet(fleet_settings, wire, probe, REWARD_ENGINES, report, started)
    length = _length(None, fleet, source)
    if isinstance(family, LabelConvention):
        labels = EngineLabels(RemoteEngine(fleet, tokenizer, _ends(source), length))
        return LoadedModel(labels, tokenizer, family, reading)
    if isinstance(family, AnswerConvention):
        return LoadedModel(RemoteLogits(fleet, tokenizer, length), tokenizer, family, reading)
    return LoadedModel(RemoteTags(fleet, family.tag, tokenizer, length), tokenizer, family, reading)


def _scoring_probe(settings: FleetSettings, tokenizer: HFTokenizer, family: object) -> Probe:
    if isinstance(family, LabelConvention):
        return GenerationProbe(settings, tokenizer)
    if isinstance(family, AnswerConvention):
        return PoolingProbe(settings, tokenizer, "classify")
    return PoolingProbe(settings, tokenizer, "token_classify", tag_of(tokenizer, getattr(family, "tag", "")))


async def _source(settings: FleetSettings, wire: Wire, given: str, setting: str, report: Report) -> Source:
    """The tokenizer, and what is known of the model.

    Raises:
        StartupError: No server answers, or the tokenizer is nowhere; the message names the setting.
    """
    introduction = await _closing_on_failure(wire, first_introduction(settings, wire, report))
    path = given or introduction.root or introduction.name
    report(f"reading the tokenizer {path}")

    def read() -> Source:
        try:
            return Source(introduction, path, read_tokenizer_card(path), load_tokenizer(path))
        except StartupError as error:
            raise StartupError(f"{setting}: {error} Give the folder of the tokenizer by {setting}.") from error

    return await _closing_on_failure(wire, asyncio.to_thread(read))


async def _fleet(
    settings: FleetSettings, wire: Wire, probe: Probe, names: Names, report: Report, started: list[Fleet]
) -> Fleet:
    fleet = Fleet(settings, probe, names, wire)
    started.append(fleet)
    await fleet.start(report)
    servers = ", ".join(name for name, member in sorted(fleet.members.items()) if member.serves)
    report(f"{settings.setting}: {servers}")
    return fleet


def _backend(
    settings: Settings, source: Source, engine: RemoteEngine, loaded: LoadedModel | None, fleets: list[Fleet]
) -> Backend:
    model, name = (loaded.reward(), loaded.name) if loaded else (None, PROCESS_REWARD)
    registry = fleet_registry(dict(zip(("generation", "reward"), fleets, strict=False)))
    native = all(member.offer.native for member in engine.fleet.members.values() if member.offer)
    named = settings.served_model_name or settings.model != Settings.model_fields["model"].default
    return Backend(
        engine=engine,
        tokenizer=engine.tokenizer,
        answers=make_answers(settings),
        rewards=make_rewards(settings, engine.tokenizer, model, name),
        sampling=_recommended(source, native=native),
        max_model_len=engine.max_model_len,
        vocab_size=engine.tokenizer.vocab_size,
        constrains=native,
        compiles=native,
        close=lambda: _close(fleets),
        healthy=lambda: all(fleet.healthy for fleet in fleets),
        model_name="" if named else Path(source.introduction.name).name,
        registries=lambda: (registry,),
        failovers=lambda: sum(fleet.failovers for fleet in fleets),
    )


async def _close(fleets: list[Fleet]) -> None:
    for fleet in fleets:
        await fleet.close()


async def _closing_on_failure(wire: Wire, work: Awaitable[Made]) -> Made:
    """Work before there is a fleet that would close the connections."""
    try:
        return await work
    except BaseException:
        await wire.close()
        raise


def _length(own: int | None, fleet: Fleet, source: Source) -> int:
    """The longest prompt plus answer that every server takes.

    Raises:
        StartupError: Nobody says.
    """
    told = [member.offer.max_model_len for member in fleet.members.values() if member.offer]
    known = [length for length in (own, source.introduction.max_model_len, *told) if length]
    if not known:
        raise StartupError(f"{fleet.settings.setting}: no server says how much it reads; set max_model_len")
    return min(known)


def _ends(source: Source) -> frozenset[int]:
    """Tokens that end a text: the model's, or the tokenizer's own."""
    return source.card.eos_ids or source.tokenizer.eos_ids


def _recommended(source: Source, *, native: bool) -> Sampling:
    """What the model's generation_config.json says about drawing tokens, as far as the servers know it."""
    try:
        told = json.loads((Path(source.path).expanduser() / "generation_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Sampling()
    known = DRAWS if native else ("temperature", "top_p")
    if not isinstance(told, dict):
        return Sampling()
    return Sampling(**{name: told[name] for name in known if isinstance(told.get(name), int | float)})
