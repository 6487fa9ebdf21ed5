"""Dashboards as values, and as the JSON that Grafana (10.4 and later) imports. Knows no metric."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from k8s.monitoring.names import metrics_in

COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

Look = Literal["timeseries", "stat", "heatmap"]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Args:
        title: What it shows.
        queries: Legend and expression of each line; ``{{label}}`` in a legend stands for a label's value.
        unit: Grafana's name of the unit.
        look: How it is drawn.
        width: Of 24 columns.
        note: What to read from it.
        stacked: Whether the lines are parts of a whole.
    """

    title: str
    queries: dict[str, str]
    unit: str = "short"
    look: Look = "timeseries"
    width: int = 8
    note: str = ""
    stacked: bool = False

    @property
    def height(self) -> int:
        """In Grafana's rows."""
        return 4 if self.look == "stat" else 8


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard: rows of panels under a heading each. ``uid`` is its lasting name in Grafana."""

    uid: str
    title: str
    summary: str
    rows: dict[str, list[Panel]] = field(default_factory=dict)

    @property
    def expressions(self) -> Iterator[tuple[str, str]]:
        """Where each expression stands, and the expression."""
        for panels in self.rows.values():
            for panel in panels:
                for legend, query in panel.queries.items():
                    yield f"{self.uid} / {panel.title} / {legend}", query


def board_json(board: Board) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.summary,
        "tags": ["espalier"],
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "schemaVersion": 39,
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": list(_placed(board)),
        "version": 1,
    }


def _variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    return [source, _variable("job", "label_values(mcts_ready, job)"), _variable("instance", _INSTANCES)]


_INSTANCES = 'label_values(mcts_ready{job=~"$job"}, instance)'


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
        "sort": 1,
    }


def _placed(board: Board) -> Iterator[dict[str, Any]]:
    """Rows from top to bottom, panels from left to right."""
    number, y = 1, 0
    for heading, panels in board.rows.items():
        yield {
            "id": number,
            "type": "row",
            "title": heading,
            "collapsed": False,
            "panels": [],
            "gridPos": _at(0, y, 24, 1),
        }
        number, x, y, tallest = number + 1, 0, y + 1, 0
        for panel in panels:
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            yield {**_panel(panel), "id": number, "gridPos": _at(x, y, panel.width, panel.height)}
            number, x, tallest = number + 1, x + panel.width, max(tallest, panel.height)
        y += tallest


def _at(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _panel(panel: Panel) -> dict[str, Any]:
    names = sorted({name for query in panel.queries.values() for name in metrics_in(query)})
    custom: dict[str, Any] = {"fillOpacity": 10, "showPoints": "never"}
    if panel.stacked:
        custom |= {"fillOpacity": 40, "stacking": {"mode": "normal", "group": "A"}}
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, "noValue": "No traffic"}
    return {
        "type": panel.look,
        "title": panel.title,
        "description": " ".join(filter(None, (panel.note, f"From {', '.join(names)}."))),
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": defaults | ({"custom": custom} if panel.look == "timeseries" else {}),
            "overrides": [],
        },
        "options": _options(panel.look),
        "targets": [_target(panel, i, *query) for i, query in enumerate(panel.queries.items())],
    }


def _options(look: Look) -> dict[str, Any]:
    if look == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    if look == "heatmap":
        return {"calculate": False, "yAxis": {"unit": "short"}, "color": {"mode": "scheme", "scheme": "Blues"}}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _target(panel: Panel, place: int, legend: str, query: str) -> dict[str, Any]:
    return {
        "refId": chr(ord("A") + place),
        "datasource": SOURCE,
        "expr": query,
        "legendFormat": "{{le}}" if panel.look == "heatmap" else legend,
        "format": "heatmap" if panel.look == "heatmap" else "time_series",
        "range": True,
    }
