"""What /metrics says: several registries as one, in the text format that the scraper asks for.

The client library's own encoders take most of their time to escape the same names and labels again and again. Here the
text before each value is made once and kept; a test holds the result against the library's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

MOST_LINES = 50_000
"""Beginnings of lines that are kept: a server has some thousand series."""

CLASSIC = frozenset({"counter", "gauge", "histogram", "info"})
"""Kinds whose lines are nothing but a name, labels and a value. What else there may be, the library writes."""

END = "# EOF\n"

_LABEL_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


class JoinedRegistries(Collector):
    """Several registries read as one: each metric once, with the samples of all of them."""

    def __init__(self, registries: Sequence[CollectorRegistry]) -> None:
        self._registries = registries

    def collect(self) -> Iterator[Metric]:
        """Every metric. Where two of one name are of different kinds, the first registry's stands alone."""
        joined: dict[str, Metric] = {}
        for registry in self._registries:
            for metric in registry.collect():
                first = joined.setdefault(metric.name, metric)
                if first is not metric and first.type == metric.type:
                    first.samples.extend(metric.samples)
        yield from joined.values()


def exposed(registries: Sequence[CollectorRegistry], accept: str) -> tuple[bytes, str]:
    """The body and its content type.

    Args:
        registries: Whose metrics; no series may be in two of them.
        accept: What the scraper asks for, as its ``Accept`` header.
    """
    encode, content_type = choose_encoder(accept)
    joined = JoinedRegistries(registries)
    if content_type.startswith("application/openmetrics-text; version=1.0.0"):
        return (_written(joined, _openmetrics_head, encode) + END).encode(), content_type
    if content_type.startswith("text/plain"):
        return _written(joined, _plain_head, generate_latest).encode(), content_type
    return encode(joined), content_type


def _written(joined: JoinedRegistries, head: Callable[[Metric], str], encode: Callable[[Collector], bytes]) -> str:
    parts: list[str] = []
    for metric in joined.collect():
        if metric.type in CLASSIC and all(_is_plain(sample) for sample in metric.samples):
            parts.append(head(metric))
            parts += [f"{_begun(s.name, tuple(s.labels.items()))} {_number(s.value)}\n" for s in metric.samples]
        else:
            parts.append(encode(_One(metric)).decode().removesuffix(END))
    return "".join(parts)


class _One(Collector):
    """A collector of one metric."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


def _is_plain(sample: Sample) -> bool:
    created = sample.name.endswith("_created")  # the plain format has them apart from their metric
    return not created and sample.timestamp is None and sample.exemplar is None and sample.native_histogram is None


@lru_cache(MOST_LINES)
def _begun(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    """A line up to its value."""
    if not labels:
        return name
    pairs = (f'{label}="{value.translate(_LABEL_ESCAPES)}"' for label, value in sorted(labels))
    return f"{name}{{{','.join(pairs)}}}"


def _number(value: float) -> str:
    """As the library writes numbers, by a short cut for the small counts that most are."""
    return f"{value:.1f}" if 0 <= value < 100_000 and value == int(value) else str(floatToGoString(value))  # type: ignore[no-untyped-call]


def _openmetrics_head(metric: Metric) -> str:
    unit = f"# UNIT {metric.name} {metric.unit}\n" if metric.unit else ""
    text = metric.documentation.translate(_LABEL_ESCAPES)
    return f"# HELP {metric.name} {text}\n# TYPE {metric.name} {metric.type}\n{unit}"


def _plain_head(metric: Metric) -> str:
    suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
    kind = "gauge" if metric.type == "info" else metric.type
    text = metric.documentation.translate(_HELP_ESCAPES)
    return f"# HELP {metric.name}{suffix} {text}\n# TYPE {metric.name}{suffix} {kind}\n"
