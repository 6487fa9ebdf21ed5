"""Where vLLM counts what one engine does. It knows nothing of how that is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

COUNTER = "_counter_cls"
HISTOGRAM = "_histogram_cls"
KINDS = ("_gauge_cls", COUNTER, HISTOGRAM)
"""Attributes of vLLM's logger that make its metrics, there to be replaced (its loggers for Ray replace them too)."""

PARTS = ("_spec_decoding_cls", "_perf_metrics_cls")
"""Those that make counters of their own."""


def statistics_logger(registry: Any, histogram: Callable[..., Any] | None = None) -> type[Any]:
    """VLLM's own Prometheus logger, its metrics in a registry of this engine's.

    In the global registry, where vLLM puts them, the second engine of a process would take away those of the first.
    The few metrics of connectors to caches on other machines stay there.

    Args:
        registry: A ``prometheus_client.CollectorRegistry`` that holds no metric of vLLM's.
        histogram: Class of its histograms; None for ``prometheus_client``'s. vLLM observes a value for every token.
    """
    from vllm.v1.metrics.loggers import PrometheusStatLogger as Logger

    own: dict[str, Any] = {kind: partial(getattr(Logger, kind), registry=registry) for kind in KINDS}
    if histogram:
        own[HISTOGRAM] = partial(histogram, registry=registry)
    for name in PARTS:
        part = getattr(Logger, name)
        own[name] = type(part.__name__, (part,), {COUNTER: partial(getattr(part, COUNTER), registry=registry)})
    return type("OwnRegistryLogger", (Logger,), own)
