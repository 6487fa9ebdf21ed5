"""How a metric is declared: once, with all it means, so that the page of metrics and the dashboards can be checked.

Every label has a closed set of values. Counters and gauges have all their series from the start, at 0, so that a rate
or an alert works before the first event. A histogram has them where alerts rest on it (``zeroed``); one by strategy
begins with the strategy's first search, since the zeros of all strategies would be thousands of series.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from server.histograms import DeferredHistogram

PREFIX = "mcts_"

Labels = Mapping[str, Sequence[str]]
"""The values that each label may have. None yet where only a loaded model tells them."""

Kind = Literal["counter", "gauge", "histogram"]
Labelled = TypeVar("Labelled", Counter, Gauge, Histogram)


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric as it is documented. ``name`` is what queries write: of a counter with its ``_total``."""

    name: str
    kind: Kind
    text: str
    labels: Labels
    zeroed: bool


@dataclass(slots=True, eq=False)
class Declarations:
    """Makes metrics in one registry and remembers what they mean."""

    registry: CollectorRegistry
    all: list[Declared] = field(default_factory=list)

    def counter(self, name: str, text: str, labels: Labels | None = None) -> Counter:
        """A counter; its name without ``_total``."""
        made = Counter(PREFIX + name, text, tuple(labels or ()), registry=self.registry)
        self._declare(f"{name}_total", "counter", text, labels)
        return zeroed(made, labels)

    def gauge(self, name: str, text: str, labels: Labels | None = None) -> Gauge:
        """A gauge."""
        made = Gauge(PREFIX + name, text, tuple(labels or ()), registry=self.registry)
        self._declare(name, "gauge", text, labels)
        return zeroed(made, labels)

    def histogram(
        self, name: str, text: str, buckets: Sequence[float], labels: Labels | None = None, *, zero: bool = False
    ) -> Histogram:
        """A histogram; ``zero`` gives it all its series from the start."""
        made = DeferredHistogram(PREFIX + name, text, tuple(labels or ()), registry=self.registry, buckets=buckets)
        self._declare(name, "histogram", text, labels, zero=zero or not labels)
        return zeroed(made, labels) if zero else made

    def _declare(self, name: str, kind: Kind, text: str, labels: Labels | None, *, zero: bool = True) -> None:
        self.all.append(Declared(PREFIX + name, kind, text, labels or {}, zero))


def zeroed(metric: Labelled, labels: Labels | None) -> Labelled:
    """The metric, with a series for every combination of its labels' values."""
    if labels:
        for values in itertools.product(*labels.values()):
            metric.labels(*values)
    return metric
