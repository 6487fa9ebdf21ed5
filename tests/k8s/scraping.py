"""A real Prometheus for tests: Debian's, on a free port of 127.0.0.1, scraping one server every second."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus, and a client that has it as its base."""

    url: str
    client: httpx.Client

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that an expression gives now."""
        reply = self.client.get("/api/v1/query", params={"query": query})
        assert reply.status_code == 200, f"{query}: {reply.text}"
        result: Any = reply.json()["data"]["result"]
        return result if isinstance(result, list) else [result]

    def scrape_seconds(self) -> float:
        """How long the longest scrape of the last minute took."""
        return max(float(series["value"][1]) for series in self.ask("max_over_time(scrape_duration_seconds[1m])"))


@contextmanager
def scraping(target: str, rules: Path, folder: Path) -> Iterator[Prometheus]:
    """Runs it until the context ends.

    Args:
        target: Host and port of the server that it scrapes.
        rules: A file of rules, evaluated every second.
        folder: Where it may write.
    """
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "espalier", "static_configs": [{"targets": [target]}]}],
    }
    file = folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"127.0.0.1:{_free_port()}"
    with (folder / "prometheus.log").open("w", encoding="utf-8") as log:
        running = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            with httpx.Client(base_url=f"http://{address}", timeout=20) as client:
                _wait_for(client, running, folder / "prometheus.log")
                yield Prometheus(f"http://{address}", client)
        finally:
            running.terminate()
            running.wait(20)


def _wait_for(client: httpx.Client, running: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert running.poll() is None, log.read_text(encoding="utf-8")
        try:
            if client.get("/-/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
