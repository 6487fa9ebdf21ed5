"""PromQL as it is written again and again here. Knows no metric."""

from __future__ import annotations

SERVERS = 'job=~"$job",instance=~"$instance"'
"""What a dashboard's variables choose."""

WINDOW = "$__rate_interval"


def chosen(metric: str, labels: str = "") -> str:
    """A metric of the servers that a dashboard shows."""
    return f"{metric}{{{','.join(filter(None, (SERVERS, labels)))}}}"


def total(metric: str, by: str = "", labels: str = "") -> str:
    """A gauge, summed over the servers shown."""
    return f"sum{_by(by)}({chosen(metric, labels)})"


def rate(metric: str, by: str = "", labels: str = "") -> str:
    """A counter's increase per second, summed over the servers shown."""
    return f"sum{_by(by)}(rate({chosen(metric, labels)}[{WINDOW}]))"


def ratio(part: str, whole: str) -> str:
    """A share; nothing where the whole is 0, instead of not-a-number."""
    return f"{part} / ({whole} > 0)"


def mean(histogram: str, by: str = "", labels: str = "") -> str:
    """The mean of what a histogram observed within the window."""
    return ratio(rate(f"{histogram}_sum", by, labels), rate(f"{histogram}_count", by, labels))


def quantile(share: float, histogram: str, by: str = "", labels: str = "") -> str:
    """A quantile of what a histogram observed within the window."""
    buckets = rate(f"{histogram}_bucket", ", ".join(filter(None, ("le", by))), labels)
    return f"histogram_quantile({share:g}, {buckets})"


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else " "
