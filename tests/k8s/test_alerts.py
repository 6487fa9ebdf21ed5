"""Each alert fires when it should, is silent when it should, and does no harm where its series are absent."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.monitoring.alerts import ALERTS
from k8s.monitoring.boards import Board, Panel
from k8s.monitoring.files import BOARDS, FOLDER, files
from k8s.monitoring.names import metrics_in, unknown
from k8s.monitoring.objectives import RECORDINGS
from tests.k8s.alert_cases import CASES, Case, Series

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
EVERY = [alert for alerts in ALERTS.values() for alert in alerts]

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is missing: apt-get install prometheus"
)


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs promtool."""
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)


def test_the_files_are_current() -> None:
    """What is committed is what the code makes, and nothing else lies there."""
    made = files()
    assert {path: path.read_text(encoding="utf-8") for path in made} == made
    assert {*FOLDER.glob("**/*.json"), *FOLDER.glob("**/*.yaml")} - {FOLDER / "kustomization.yaml"} == set(made)


def test_a_metric_that_there_is_not_is_found() -> None:
    """A misspelt name, a histogram's part of a counter, a rule that nobody records, a name in a label's value."""
    asked = ["rate(mcts_serches_total[5m])", "mcts_prompt_tokens_total_bucket", "job:nothing:ratio", "vllm:no_such"]
    assert unknown(asked, ()) == {
        "mcts_serches_total",
        "mcts_prompt_tokens_total_bucket",
        "job:nothing:ratio",
        "vllm:no_such",
    }
    assert unknown(['mcts_ready{job="mcts_nothing"}', "mcts_queue_duration_seconds_bucket"], ()) == set()
    assert metrics_in('up == 0 and on (job) up{a="mcts_b"}') == ["up"]


def test_every_metric_of_ours_is_shown_somewhere() -> None:
    """A metric that no dashboard, rule or alert asks for is one that nobody would miss."""
    from server.metrics import declared_metrics

    asked = {name for board in BOARDS for _, query in board.expressions for name in metrics_in(query)}
    asked |= {name for rule in RECORDINGS for name in metrics_in(rule.expression)}
    missing = {metric.name for metric in declared_metrics()} - {
        re.sub(r"_(bucket|sum|count)$", "", name) for name in asked
    }
    assert missing - asked == set()


def test_panels_do_not_overlap() -> None:
    """Each cell of a dashboard's grid belongs to one panel, and ids are distinct."""
    import json

    for board in BOARDS:
        panels = json.loads((FOLDER / "dashboards" / f"{board.uid}.json").read_text(encoding="utf-8"))["panels"]
        cells = [
            (x, y)
            for panel in panels
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24
        assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("alert", EVERY, ids=lambda alert: alert.name)
def test_every_alert_has_a_runbook(alert: Any) -> None:
    """It says what the alert means, how to see it and what to do."""
    page = (RUNBOOKS / f"{alert.name}.md").read_text(encoding="utf-8")
    assert re.findall(r"^#+ (.*)$", page, re.MULTILINE) == [
        alert.name,
        "What it means",
        "How to see it",
        "What to do",
    ]


def test_no_runbook_is_left_over() -> None:
    """Every page belongs to an alert."""
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == {alert.name for alert in EVERY}


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_a_runbook_asks_for_metrics_that_there_are(page: Path) -> None:
    """Somebody who was woken should not meet a misspelt query."""
    queries = re.findall(r"`([^`]+)`", page.read_text(encoding="utf-8"))
    others = {"vllm:cache_config_info"}
    assert unknown(queries, (rule.name for rule in RECORDINGS)) - others == set()


def test_every_alert_has_cases() -> None:
    """No alert goes untested, no case is left over."""
    assert set(CASES) == {alert.name for alert in EVERY}


@needs_promtool
def test_rules_and_dashboards_are_promql(tmp_path: Path) -> None:
    """Promtool parses every rule, and every dashboard's expression as if it were one."""
    done = promtool("check", "rules", FOLDER / "rules.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    queries = [query for board in BOARDS for _, query in board.expressions]
    rules = [{"record": f"dashboard:{i}", "expr": filled(query)} for i, query in enumerate(queries)]
    file = tmp_path / "dashboards.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}), encoding="utf-8")
    done = promtool("check", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def filled(query: str) -> str:
    """An expression with Grafana's variables as they are when all is chosen."""
    return query.replace("$__rate_interval", "1m").replace("$job", ".*").replace("$instance", ".*")


@needs_promtool
@pytest.mark.parametrize("step", sorted({case.step for case in CASES.values()}))
def test_alerts_fire_and_are_silent(step: str, tmp_path: Path) -> None:
    """All cases of all alerts with one step of time, in one run of promtool."""
    tests = [
        _test(f"{name}: {state}", name, case, series, fires=fires)
        for name, case in CASES.items()
        if case.step == step
        for state, series, fires in [
            ("fires", case.firing, True),
            *(("silent", series, False) for series in case.silent),
            ("absent", {}, case.absent),
        ]
    ]
    file = tmp_path / "tests.yaml"
    rules = yaml.safe_load((FOLDER / "rules.yaml").read_text(encoding="utf-8"))
    document = {
        "rule_files": [str(FOLDER / "rules.yaml")],
        "evaluation_interval": step,
        # Else in any order: alerts before the recordings they rest on, whose last values are a step old and too old.
        "group_eval_order": [group["name"] for group in rules["groups"]],
        "tests": tests,
    }
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def _test(title: str, alert: str, case: Case, series: Series, *, fires: bool) -> dict[str, Any]:
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0'
    return {
        "name": title,
        "interval": case.step,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": firing, "eval_time": case.at, "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}
        ],
    }


def test_an_unknown_metric_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code refuses to make files that ask for it."""
    wrong = Board("x", "x", "x", {"x": [Panel("x", {"x": "mcts_no_such_thing"})]})
    monkeypatch.setattr("k8s.monitoring.files.BOARDS", (wrong,))
    with pytest.raises(ValueError, match="mcts_no_such_thing"):
        files()
