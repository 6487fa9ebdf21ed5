"""Deferred histograms are read as the client library's are, whatever is observed, whenever, by whom."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from server.histograms import MOST_ASIDE, DeferredHistogram

BOUNDS = (0.0, 0.5, 1.0, 10.0)  # with one below 0 the library tells no sum
VALUES = st.floats(-20, 20) | st.sampled_from(BOUNDS)


def _read(kind: type[Histogram], values: list[float], reads: set[int]) -> dict[str, float | None]:
    """What a histogram comes to, read after some of its values too."""
    registry = CollectorRegistry()
    histogram = kind("seconds", "", ("engine",), registry=registry, buckets=BOUNDS)
    child = histogram.labels("a")
    for number, value in enumerate(values):
        child.observe(value)
        if number in reads:
            generate_latest(registry)
    counts: dict[str, float | None] = {
        bound: registry.get_sample_value("seconds_bucket", {"engine": "a", "le": bound})
        for bound in ("0.0", "0.5", "1.0", "10.0", "+Inf")
    }
    return counts | {name: registry.get_sample_value(f"seconds_{name}", {"engine": "a"}) for name in ("sum", "count")}


@given(st.lists(VALUES, max_size=40), st.sets(st.integers(0, 39), max_size=5))
def test_it_comes_to_what_the_librarys_comes_to(values: list[float], reads: set[int]) -> None:
    """Bucket by bucket, bounds included in the buckets below them, however often it is read meanwhile."""
    ours, theirs = _read(DeferredHistogram, values, reads), _read(Histogram, values, set())
    assert ours.pop("sum") == pytest.approx(theirs.pop("sum"))  # added in another order
    assert ours == theirs


def test_values_are_put_aside_only_up_to_a_limit() -> None:
    """A server that nobody scrapes does not fill its memory."""
    histogram = DeferredHistogram("seconds", "", registry=None, buckets=BOUNDS)
    for _ in range(3 * MOST_ASIDE + 5):
        histogram.observe(0.25)
    assert len(histogram._aside) == 5


def test_what_is_no_number_is_in_no_bucket() -> None:
    """As in the library's; the others are counted all the same."""
    registry = CollectorRegistry()
    histogram = DeferredHistogram("seconds", "", registry=registry, buckets=BOUNDS)
    histogram.observe(float("nan"))
    histogram.observe(0.5)
    assert registry.get_sample_value("seconds_count") == 1


def test_one_with_labels_wants_them_first() -> None:
    """As the library's does."""
    with pytest.raises(ValueError, match="missing label values"):
        DeferredHistogram("seconds", "", ("engine",), registry=None).observe(1.0)


def test_nothing_is_lost_or_counted_twice_between_threads() -> None:
    """Four observe while one reads."""
    registry = CollectorRegistry()
    histogram = DeferredHistogram("seconds", "", registry=registry, buckets=BOUNDS)

    def observe() -> None:
        for _ in range(10_000):
            histogram.observe(0.25)

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        generate_latest(registry)
    assert registry.get_sample_value("seconds_count") == 40_000
    assert registry.get_sample_value("seconds_sum") == 10_000


@pytest.mark.parametrize("bounds", [BOUNDS, (-1.0, 0.0, 1.0)], ids=["from 0", "below 0"])
@pytest.mark.parametrize("labels", [(), ("engine", "kind")], ids=["bare", "labelled"])
def test_the_samples_are_the_librarys(bounds: tuple[float, ...], labels: tuple[str, ...]) -> None:
    """Names, labels, values and their order, but for the times at which both were made."""
    told = []
    for kind in (DeferredHistogram, Histogram):
        registry = CollectorRegistry()
        histogram = kind("seconds", "Text.", labels, registry=registry, buckets=bounds)
        for values in (("a", "b"), ("a", "c")):
            child = histogram.labels(*values) if labels else histogram
            child.observe(0.5)
            child.observe(7.0)
        (metric,) = registry.collect()
        told.append([(s.name, s.labels, s.value) for s in metric.samples if not s.name.endswith("_created")])
    assert told[0] == told[1]
