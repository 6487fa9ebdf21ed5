"""Histograms that are cheap to feed: values are put aside as they come, and sorted into buckets when somebody reads.

vLLM observes a latency for every token of every sequence. With the client library's histogram, which takes two locks
and walks the buckets each time, that was 1% of a busy server's processor time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from threading import Lock
from typing import Any

import numpy as np
from prometheus_client import Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

MOST_ASIDE = 4096
"""Values that a series puts aside before it sorts them in, whether or not somebody reads: 128 KiB of them."""


class DeferredHistogram(Histogram):
    """``prometheus_client.Histogram``, which it is read as. Any thread may observe; exemplars are not kept."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Takes a value.

        Raises:
            ValueError: It has labels, and they were not given.
        """
        del exemplar
        try:
            aside = self._aside
        except AttributeError:
            self._raise_if_not_observable()  # type: ignore[no-untyped-call]
            raise
        aside.append(amount)
        if len(aside) >= MOST_ASIDE:
            self._sort_in()

    def _metric_init(self) -> None:
        super()._metric_init()
        self._aside: list[float] = []
        self._sorting = Lock()
        self._names: list[tuple[str, dict[str, str]]] = []

    def collect(self) -> Iterable[Metric]:
        """What it comes to. Each sample is made once, where the library makes it three times with labels of its own."""
        metric = self._get_metric()  # type: ignore[no-untyped-call]
        children: list[Any] = [self]
        if self._labelnames:
            with self._lock:
                children = list(self._metrics.values())
        for child in children:
            metric.samples += child._series()  # noqa: SLF001 - of this class
        return [metric]

    def _series(self) -> list[Sample]:
        """The samples of one series, under their whole names."""
        self._sort_in()
        if not self._names:
            own = dict(zip(self._labelnames, self._labelvalues, strict=True))
            self._names = [(self._name + each.name, own | each.labels) for each in self._child_samples()]
        counts = itertools.accumulate(bucket.get() for bucket in self._buckets)
        values = [*counts, 0.0, self._sum.get(), self._created]
        count = len(self._buckets)
        values[count] = values[count - 1]
        if self._upper_bounds[0] < 0:
            del values[count + 1]  # the library tells no sum where a bound is below 0
        return [Sample(name, labels, value) for (name, labels), value in zip(self._names, values, strict=False)]

    def _sort_in(self) -> None:
        """Counts what was put aside. A value that comes meanwhile is behind those taken, and stays."""
        bounds: Any = np.asarray(self._upper_bounds)
        with self._sorting:
            taken = self._aside[:]
            del self._aside[: len(taken)]
        if not taken:
            return
        # A value belongs to the first bucket whose bound is no less than it; what is no number belongs to none.
        counts = np.bincount(np.searchsorted(bounds, taken, side="left"), minlength=len(bounds))[: len(bounds)]
        for bucket in np.flatnonzero(counts):
            self._buckets[bucket].inc(float(counts[bucket]))
        self._sum.inc(float(np.sum(taken)))
