"""The real server on the real engine, under mixed traffic, scraped by a real Prometheus: nothing asks in vain."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from k8s.monitoring.alerts import ALERTS
from k8s.monitoring.autoscaling import SCALINGS
from k8s.monitoring.files import BOARDS, FOLDER
from k8s.monitoring.names import VLLM
from k8s.monitoring.objectives import RECORDINGS
from server.metrics import declared_metrics
from tests.engine.tiny import make_model, make_prm
from tests.k8s.scraping import Prometheus, scraping
from tests.k8s.test_alerts import filled
from tests.server.process import ESPALIER, running
from tests.server.service import CHATS
from tests.server.test_end_to_end import BUNDLED, PROBLEM

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="Prometheus is missing: apt-get install prometheus"),
]

PATIENCE = 60.0
"""Seconds within which every expression must have given a series: some need two scrapes after the traffic, and a busy
machine misses some."""

SEARCHES: list[dict[str, Any]] = [
    {"search": {"strategy": "uct", "budget": {"simulations": 6}}},
    {"search": {"strategy": "uct", "reward": "confidence", "budget": {"simulations": 4}}, "stream": True},
    {"search": {"strategy": "majority", "samples": 4}, "temperature": 1},
    {"search": {"strategy": "best_of_n", "samples": 4}},
    {"search": {"strategy": "beam", "beams": 2, "budget": {"seconds": 5}}},
    {"model": "abacus:direct", "stream": True},
    {"search": {"strategy": "majority", "samples": 8}, "max_tokens": 400, "ignore_eos": True, "timeout": 0.2},
    {"search": {"strategy": "uct", "budget": {"seconds": 0.001}}},
    {"temperature": 9},
    {"model": "nobody"},
]
"""Plain and streamed, several strategies, one that a client abandons, a deadline in vain, and two that are refused."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Scrapes a server with two places and a short queue, which is asked more than it can serve."""
    chosen: list[str] = []
    if not BUNDLED:
        folder = tmp_path_factory.mktemp("models")
        model, reward = make_model(folder / "abacus"), make_prm(folder / "abacus-prm")
        chosen = ["--model", str(model), "--reward-model", str(reward)]
    limits = ["--kv-cache-gib", "0.5", "--default-max-tokens", "64", "--max-searches", "2", "--max-queue", "3"]
    with running([*ESPALIER, "serve", "--port", "0", *limits, *chosen], seconds=200) as server:
        folder = tmp_path_factory.mktemp("prometheus")
        with scraping(server.url.removeprefix("http://"), FOLDER / "rules.yaml", folder) as prometheus:
            stop = threading.Event()
            with ThreadPoolExecutor(6) as clients:
                for number in range(6):
                    clients.submit(_client, server.url, number, stop)
                try:
                    yield prometheus
                finally:
                    stop.set()


def _client(url: str, number: int, stop: threading.Event) -> None:
    """Asks one thing after another until it is told to stop."""
    place = number
    with httpx.Client(base_url=url) as client:
        while not stop.is_set():
            body = {"messages": [{"role": "user", "content": PROBLEM}], **SEARCHES[place % len(SEARCHES)]}
            timeout = body.pop("timeout", 60)
            try:
                reply = client.post(CHATS, json=body, timeout=timeout)
                stop.wait(0.5 if reply.status_code == 429 else 0)
            except httpx.TransportError:  # one of them does not wait for its answer
                pass
            place += 1


def unanswered(prometheus: Prometheus, queries: dict[str, str]) -> dict[str, str]:
    """Those of the expressions that still give nothing when the patience is at its end, each asked once more then."""
    end, late = time.monotonic() + PATIENCE, False
    left = dict(queries)
    while left and not late:
        late = time.monotonic() > end
        left = {where: query for where, query in left.items() if not prometheus.ask(query)}
        time.sleep(0.5 if left else 0)
    return left


def test_every_panel_shows_something(prometheus: Prometheus) -> None:
    """Every expression of every dashboard gives a series, with all servers chosen."""
    queries = {where: filled(query) for board in BOARDS for where, query in board.expressions}
    assert unanswered(prometheus, queries) == {}


def test_every_recording_rule_records(prometheus: Prometheus) -> None:
    """What it records is there under its name, and the expression gives it."""
    queries = {rule.name: rule.name for rule in RECORDINGS}
    queries |= {f"{rule.name} (expression)": rule.expression for rule in RECORDINGS}
    assert unanswered(prometheus, queries) == {}


def test_every_alert_compares_what_is_there(prometheus: Prometheus) -> None:
    """A server that is well fires nothing, so what alerts compare is asked; and each selector that they write."""
    alerts = [alert for group in ALERTS.values() for alert in group]
    queries = {f"{alert.name}: {signal}": signal for alert in alerts for signal in alert.signals}
    queries |= {f"{alert.name}: {each}": each for alert in alerts for each in selectors(alert.expression)}
    assert unanswered(prometheus, queries) == {}


def selectors(expression: str) -> list[str]:
    """The metrics that an expression asks for, each with its labels."""
    found = re.findall(r'(?<![\w"])(?:mcts_|vllm:|job:|process_)[\w:]+(?:\{[^}]*\})?', expression)
    return list(dict.fromkeys(found))


def test_every_autoscaler_query_gives_one_number(prometheus: Prometheus) -> None:
    """An autoscaler ignores an empty result without a word, and cannot use two."""
    assert unanswered(prometheus, {scaling.name: scaling.query for scaling in SCALINGS}) == {}
    assert [len(prometheus.ask(scaling.query)) for scaling in SCALINGS] == [1] * len(SCALINGS)


def test_metrics_of_ours_and_of_vllm_stand_beside_each_other(prometheus: Prometheus) -> None:
    """Every metric that is documented, in the scrape; both engines under their names; scrapes are accepted."""
    suffix = {"histogram": "_bucket"}
    queries = {metric.name: metric.name + suffix.get(metric.kind, "") for metric in declared_metrics()}
    assert unanswered(prometheus, queries) == {}
    names = {series["metric"]["__name__"] for series in prometheus.ask('{__name__=~"vllm:.+"}')}
    assert {name for name in VLLM if not names & {name, f"{name}_bucket"}} == set()
    models = {series["metric"]["model_name"] for series in prometheus.ask("vllm:num_requests_running")}
    assert models == {"abacus", "abacus-prm"}
    assert [series["value"][1] for series in prometheus.ask("max_over_time(up[1m])")] == ["1"]


def test_traffic_is_told_as_it_was(prometheus: Prometheus) -> None:
    """Refusals, abandoned searches and successes are all there: the expressions above were asked of the real thing."""
    expected = {
        "answered": 'mcts_request_duration_seconds_count{status="200"} > 0',
        "refused": 'mcts_request_duration_seconds_count{status="400"} > 0',
        "turned away": 'mcts_searches_turned_away_total{reason="queue_full"} > 0',
        "abandoned": 'mcts_searches_total{stop_reason="cancelled"} > 0',
        "in vain": 'mcts_failures_total{cause="NoAnswerInTime"} > 0',
        "scored": 'mcts_reward_call_duration_seconds_count{outcome="ok"} > 0',
        "lost": "sum(mcts_generated_tokens_total{use='lost'}) > 0",
        "from the cache": "mcts_cached_tokens_total > 0",
    }
    assert unanswered(prometheus, expected) == {}


def test_committed_rules_are_those_that_ran(prometheus: Prometheus) -> None:
    """Prometheus evaluates every rule of the file without an error."""
    groups = prometheus.client.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == len(RECORDINGS) + sum(map(len, ALERTS.values()))
    assert {rule["name"]: rule["lastError"] for rule in rules if rule["health"] == "err"} == {}
    assert Path(groups[0]["file"]) == FOLDER / "rules.yaml"
