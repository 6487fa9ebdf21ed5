"""The files of this folder as they should be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from k8s.monitoring.alerts import ALERTS, Alert
from k8s.monitoring.autoscaling import SCALINGS
from k8s.monitoring.boards import Board, board_json
from k8s.monitoring.engines import ENGINES
from k8s.monitoring.names import unknown
from k8s.monitoring.objectives import RECORDINGS
from k8s.monitoring.overview import OVERVIEW
from k8s.monitoring.quality import QUALITY

FOLDER = Path(__file__).parent
BOARDS: tuple[Board, ...] = (OVERVIEW, QUALITY, ENGINES)
RUNBOOKS = "docs/runbooks"
"""Where alerts say that their runbooks are, unless told otherwise: relative to the repository."""

MADE = "# Made by `python -m k8s.monitoring`; change k8s/monitoring/*.py instead.\n"


def rule_groups(runbooks: str = RUNBOOKS) -> dict[str, Any]:
    """Recording rules and alerts as Prometheus reads them."""
    recorded = [{"record": rule.name, "expr": rule.expression} for rule in RECORDINGS]
    groups = [{"name": "espalier-recordings", "rules": recorded}]
    for name, alerts in ALERTS.items():
        groups.append({"name": f"espalier-{name}", "rules": [_alert(alert, runbooks) for alert in alerts]})
    return {"groups": groups}


def _alert(alert: Alert, runbooks: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.hold,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "runbook_url": f"{runbooks}/{alert.name}.md"},
    }


def files(runbooks: str = RUNBOOKS) -> Mapping[Path, str]:
    """Each file and its text.

    Args:
        runbooks: Address of the folder of runbooks.

    Raises:
        ValueError: Something asks for a metric that there is not.
    """
    lacking = unknown((query for _, query in expressions()), (rule.name for rule in RECORDINGS))
    if lacking:
        raise ValueError(f"no such metrics: {', '.join(sorted(lacking))}")
    rules = rule_groups(runbooks)
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "espalier", "labels": {"app.kubernetes.io/name": "espalier"}},
        "spec": rules,
    }
    scalings = [{"name": s.name, "query": s.query, "threshold": s.threshold, "why": s.why} for s in SCALINGS]
    made = {FOLDER / "dashboards" / f"{board.uid}.json": _json(board_json(board)) for board in BOARDS}
    made[FOLDER / "rules.yaml"] = _yaml(rules)
    made[FOLDER / "prometheus-rule.yaml"] = _yaml(resource)
    made[FOLDER / "autoscaling.yaml"] = _yaml({"queries": scalings})
    return made


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of every dashboard, rule, alert and autoscaler, and where it stands."""
    for board in BOARDS:
        yield from board.expressions
    for rule in RECORDINGS:
        yield rule.name, rule.expression
    for alert in (alert for alerts in ALERTS.values() for alert in alerts):
        yield alert.name, alert.expression
        yield from ((f"{alert.name} compares", signal) for signal in alert.signals)
    for scaling in SCALINGS:
        yield f"autoscaling / {scaling.name}", scaling.query


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _yaml(document: Any) -> str:
    return MADE + yaml.safe_dump(document, sort_keys=False, width=10_000, allow_unicode=True)
