"""What servers say about their model before anything is known about it: its name, where it came from, its length."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.remote.addresses import Endpoint, Resolver, endpoints, read_address, resolve
from engine.remote.losses import Fault, Lost
from engine.remote.settings import FleetSettings
from engine.remote.wire import Wire
from mcts.errors import InvalidRequest, StartupError

PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Introduction:
    """One entry of ``/v1/models``.

    Args:
        name: What requests must call the model.
        root: The folder or hub id that vLLM loaded; empty where the server does not say.
        max_model_len: Longest prompt plus answer in tokens; None where it does not say.
    """

    name: str
    root: str = ""
    max_model_len: int | None = None


async def introduce(wire: Wire, endpoint: Endpoint, settings: FleetSettings) -> Introduction:
    """Asks a server for its model.

    Raises:
        Lost: It does not answer, or fails.
        StartupError: It has no such model, or no list of them.
    """
    try:
        listed = await wire.fetch(endpoint, "/v1/models", seconds=settings.check_timeout)
    except InvalidRequest as error:
        raise StartupError(
            f"{endpoint.url} has no /v1/models, so it is no OpenAI-compatible server ({error})"
        ) from error
    found = [_read(entry) for entry in _entries(listed)]
    chosen = [one for one in found if one.name == settings.model] if settings.model else found
    if not chosen:
        names = ", ".join(one.name for one in found) or "none"
        raise StartupError(f"{endpoint.url} serves no model {settings.model!r}; it serves: {names}")
    return chosen[0]


async def first_introduction(
    settings: FleetSettings, wire: Wire, report: Callable[[str], None], resolver: Resolver = resolve
) -> Introduction:
    """Waits for the first server that introduces itself.

    Raises:
        StartupError: None did in time, or the first to answer has no such model; the message says why.
    """
    addresses = [read_address(text, settings.setting) for text in settings.addresses]
    began, told = time.monotonic(), ""
    while True:
        why = []
        for address in addresses:
            try:
                for endpoint in sorted(await endpoints(address, resolver)):
                    return await introduce(wire, endpoint, settings)
            except (Lost, OSError) as error:
                if isinstance(error, Lost) and "key was refused" in str(error):
                    raise StartupError(f"{address}: {error}") from error
                why.append(f"{address}: {error}")
            except StartupError as error:
                raise StartupError(f"{settings.setting}: {error}") from error
        if time.monotonic() - began >= settings.start_seconds:
            raise StartupError(f"{settings.setting}: no server answers: {'; '.join(why)}")
        if (now := "; ".join(why)) != told:
            told = now
            report(f"waiting for {settings.setting}: {told}")
        await asyncio.sleep(PAUSE_SECONDS)


def _entries(listed: Any) -> list[dict[str, Any]]:
    data = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(data, list):
        raise Lost(Fault.SHAKY, "it sent a list of models that is none")
    entries = [entry for entry in data if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
    return sorted(entries, key=lambda entry: entry.get("parent") is not None)  # adapters after the model itself


def _read(entry: dict[str, Any]) -> Introduction:
    length = entry.get("max_model_len")
    return Introduction(entry["id"], str(entry.get("root") or ""), length if isinstance(length, int) else None)
