"""vLLM's own metrics, a registry for each engine, so that they can stand beside each other and beside ours.

In vLLM's way of registering them, in the global registry, a second engine of one process takes away the first one's.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry


class EngineStatistics:
    """The registries of the engines in this process."""

    def __init__(self) -> None:
        self._registries: dict[str, CollectorRegistry] = {}

    @property
    def registries(self) -> tuple[CollectorRegistry, ...]:
        """Those of the engines that were started last."""
        return tuple(self._registries.values())

    def of(self, engine: str) -> Callable[[], CollectorRegistry]:
        """What an engine asks for a registry, each time that it starts: a new one then takes the old one's place."""

        def fresh() -> CollectorRegistry:
            self._registries[engine] = CollectorRegistry()
            return self._registries[engine]

        return fresh
