"""The settings of the service itself: its address, its log, who may use it. ``server.settings`` adds all others."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from server.setting_kinds import Names, Secrets
from server.setting_kinds import setting as _field

SERVER, TRACING, ACCESS = "server", "tracing", "access"


class ServiceSettings(BaseModel):
    """What an operator can choose about the service, whatever it serves. Immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    host: str = _field(
        SERVER, "127.0.0.1", "Address to listen on. 0.0.0.0 is every network interface: set keys then.", "ADDRESS"
    )
    port: int = _field(SERVER, 8000, "Port to listen on. 0 takes any free one and prints it.", "PORT", ge=0, le=65535)
    keep_alive_seconds: float = _field(
        SERVER,
        15.0,
        "Silence in a stream after which a comment is sent so that proxies keep it open. Higher: fewer.",
        "SECONDS",
        gt=0,
        le=3600,
    )
    drain_seconds: float = _field(
        SERVER,
        30.0,
        "How long running searches may go on after SIGTERM. Higher loses fewer answers and stops later.",
        "SECONDS",
        ge=0,
        le=7200,
    )
    dashboard: bool = _field(SERVER, True, "Serve the dashboard at /dashboard.")
    log_level: Literal["debug", "info", "warning", "error"] = _field(SERVER, "info", "Least severity that is logged.")
    log_format: Literal["text", "json"] = _field(SERVER, "text", "Form of a log line.")
    log_prompts: bool = _field(
        SERVER, False, "Put the beginning of each prompt and answer into the log line of its search."
    )

    otlp_endpoint: str = _field(
        TRACING,
        "",
        "OpenTelemetry collector (OTLP over HTTP) that spans are sent to, such as http://127.0.0.1:4318. Default: that "
        "of OTEL_EXPORTER_OTLP_ENDPOINT; without either nothing is traced.",
        "URL",
    )
    otlp_spans: int = _field(
        TRACING, 32, "Most spans of calls of one search. Higher shows more and costs more.", "N", ge=0, le=10_000
    )
    otlp_texts: bool = _field(TRACING, False, "Put prompts and answers into the spans.")

    api_key: Secrets = _field(
        ACCESS,
        (),
        "Key that clients must send as a bearer token; several with commas or repeated flags. None: open to all.",
        "KEY",
    )
    api_key_file: str = _field(
        ACCESS, "", "File with further keys, one a line; # begins a comment. Read once, at the start.", "PATH"
    )
    open_metrics: bool = _field(ACCESS, False, "Serve /metrics without a key even where keys are set.")
    cors_origin: Names = _field(
        ACCESS,
        (),
        "Origin whose web pages may call the API from a browser, such as https://app.example.org, or * for any. "
        "Repeatable, or with commas. None: no page may.",
        "ORIGIN",
    )
    unknown_fields: Literal["refuse", "ignore"] = _field(
        ACCESS,
        "refuse",
        "What a top-level field that is not known here does to a completion: a 400, or nothing but a mention in the "
        "reply's header X-Espalier-Ignored, for clients that cannot be changed.",
    )
    max_body_bytes: int = _field(
        ACCESS,
        2 * 2**20,
        "Largest request body; larger ones get 413. Higher lets longer chats in and costs memory.",
        "BYTES",
        ge=1024,
    )
    max_header_bytes: int = _field(
        ACCESS, 32 * 1024, "Largest request line and headers together; larger ones get 431.", "BYTES", ge=4096, le=2**20
    )
