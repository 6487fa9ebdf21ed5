"""Scrapes a server as Prometheus does, in a process of its own: what else the benchmark does must not hold it up.

Run as a module with an address and a number of seconds it prints what each scrape took and how many lines came last.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from urllib.parse import urlsplit

ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
"""Prometheus asks for OpenMetrics."""

EVERY_SECONDS = 0.5


def scraped(url: str, seconds: float) -> tuple[list[float], int]:
    """Scrapes for so many seconds; what each took, and the lines of the last one."""
    took, lines, end = [], 0, time.monotonic() + seconds
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)  # kept open, as Prometheus does
    while time.monotonic() < end:
        began = time.perf_counter()
        connection.request("GET", "/metrics", headers={"accept": ACCEPT})
        reply = connection.getresponse()
        body = reply.read()
        if reply.status != http.client.OK:
            raise RuntimeError(f"the scrape was answered with {reply.status}")
        took.append(time.perf_counter() - began)
        lines = body.count(b"\n")
        time.sleep(EVERY_SECONDS)
    connection.close()
    return took, lines


if __name__ == "__main__":
    print(json.dumps(scraped(sys.argv[1], float(sys.argv[2]))))
