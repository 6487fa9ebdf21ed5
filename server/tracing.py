"""Whether requests are traced with OpenTelemetry. It imports nothing of it unless they are.

The spans themselves are made in ``server.spans`` and ``server.request_spans``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcts.errors import StartupError
from server.settings import Settings

if TYPE_CHECKING:
    from server.spans import Tracing

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Environment variables of OpenTelemetry's that say where spans go."""


def start_tracing(settings: Settings, environ: Mapping[str, str]) -> Tracing | None:
    """Begins to trace where the settings or OpenTelemetry's own environment name a collector; None where nobody does.

    Raises:
        StartupError: OpenTelemetry is wanted and not installed.
    """
    named = settings.otlp_endpoint or any(environ.get(name) for name in ENDPOINTS)
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    if off or not named:
        return None
    try:
        from server.spans import exporting
    except ImportError as error:
        raise StartupError(f"Tracing needs OpenTelemetry ({error}): pip install 'espalier[otel]'.") from error
    return exporting(settings)
