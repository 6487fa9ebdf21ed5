"""The settings of traces: how many searches are remembered, where else they go, and whether with their texts."""

from __future__ import annotations

import ipaddress
from typing import Self

from pydantic import model_validator

from server.service_settings import ServiceSettings
from server.setting_kinds import setting as _field

TRACES = "traces"
MIB = 2**20


class TraceSettings(ServiceSettings):
    """What an operator can choose about the traces of searches. Immutable."""

    trace_searches: int = _field(
        TRACES,
        100,
        "Searches whose traces are kept in memory for /v1/searches, the latest ones. 0 keeps none. Higher looks back "
        "further.",
        "N",
        ge=0,
        le=10_000,
    )
    trace_memory_bytes: int = _field(
        TRACES,
        128 * MIB,
        "Memory for those traces; the oldest give way first. Higher looks back further.",
        "BYTES",
        ge=MIB,
    )
    trace_search_bytes: int = _field(
        TRACES,
        32 * MIB,
        "About how large the trace of one search may grow; what happens in it later is left out, and the trace says "
        "so. Higher keeps larger trees whole.",
        "BYTES",
        ge=64 * 1024,
        le=1024 * MIB,
    )
    trace_texts: bool | None = _field(
        TRACES,
        None,
        "Keep the texts of prompts, steps and answers in traces, not only their shape and numbers. Default: true where "
        "the server listens on this machine alone (host is a loopback address), else false.",
    )
    trace_folder: str = _field(
        TRACES, "", "Folder into which each search's trace is also written, as JSON lines. Default: none.", "PATH"
    )
    trace_file_bytes: int = _field(
        TRACES, 64 * MIB, "Size at which a file of traces is followed by a new one.", "BYTES", ge=MIB
    )
    trace_folder_bytes: int = _field(
        TRACES,
        1024 * MIB,
        "Most that all files of traces may take; the oldest are deleted first. Higher looks back further.",
        "BYTES",
        ge=MIB,
    )

    @model_validator(mode="after")
    def _one_file_fits(self) -> Self:
        if self.trace_file_bytes > self.trace_folder_bytes:
            raise ValueError("trace_file_bytes is above trace_folder_bytes: one file would not fit the folder")
        return self

    @property
    def traces_texts(self) -> bool:
        """Whether traces hold texts."""
        return is_loopback(self.host) if self.trace_texts is None else self.trace_texts

    @property
    def traces_searches(self) -> bool:
        """Whether searches are recorded at all."""
        return self.trace_searches > 0 or bool(self.trace_folder)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach an address to listen on. Of names, only ``localhost`` is trusted."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
