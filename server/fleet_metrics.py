"""Metrics of engines elsewhere: how many are in and out, and what they have to do. Labels are closed sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.remote.fleet import Fleet


class FleetCollector(Collector):
    """Reads fleets when it is asked.

    Args:
        fleets: By what they do: ``generation``, ``reward``.
    """

    def __init__(self, fleets: Mapping[str, Fleet]) -> None:
        self._fleets = fleets

    def collect(self) -> Iterator[Metric]:
        """The metrics of the moment."""
        engines = GaugeMetricFamily("mcts_remote_engines", "Remote engines by state.", labels=("engine", "state"))
        load = GaugeMetricFamily("mcts_remote_engine_load", "Open continuations or scores.", labels=("engine",))
        for name, fleet in self._fleets.items():
            members = list(fleet.members.values())
            serving = sum(member.serves for member in members)
            engines.add_metric((name, "in"), serving)
            engines.add_metric((name, "out"), len(members) - serving)
            load.add_metric((name,), sum(member.load for member in members))
        yield from (engines, load)


def fleet_registry(fleets: Mapping[str, Fleet]) -> CollectorRegistry:
    """A registry that tells of these fleets."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(fleets))
    return registry
