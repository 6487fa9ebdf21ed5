"""The compose file is one, mounts what there is, and agrees with the program, the Dockerfile and Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from server.settings import Settings

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((Path(__file__).parent / "golden" / "compose-spec.json").read_text())
JUDGE = jsonschema.Draft7Validator(SCHEMA)  # named, because the schema names its draft by https, which it has not


@pytest.fixture
def compose() -> dict[str, Any]:
    """The file."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def test_it_is_a_compose_file(compose: dict[str, Any]) -> None:
    """By the specification's own schema, which knows no other fields."""
    JUDGE.validate(compose)
    compose["services"]["espalier"]["stop_grace"] = "60s"
    with pytest.raises(jsonschema.ValidationError):
        JUDGE.validate(compose)


def test_what_is_mounted_is_there(compose: dict[str, Any]) -> None:
    """Files of ours, and volumes that are declared."""
    for name, service in compose["services"].items():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in compose["volumes"], (name, source)


def test_nothing_listens_beyond_this_machine(compose: dict[str, Any]) -> None:
    """Every published port is bound to the loopback address, and no two are the same."""
    ports = [port for service in compose["services"].values() for port in service["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len({port.rpartition(":")[0] for port in ports}) == len(ports)


def test_it_agrees_with_the_program(compose: dict[str, Any]) -> None:
    """Port, targets, health and the time to drain."""
    service, settings = compose["services"]["espalier"], Settings()
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert service["ports"] == [f"127.0.0.1:{settings.port}:{settings.port}"]
    assert int(service["stop_grace_period"].removesuffix("s")) > settings.drain_seconds + 15
    target = re.fullmatch(r"\$\{ESPALIER_TARGET:-(\w+)\}", service["build"]["target"])
    assert target
    assert f" AS {target[1]}\n" in dockerfile
    if compose["services"]["prometheus"]["depends_on"]["espalier"]["condition"] == "service_healthy":
        assert "HEALTHCHECK" in dockerfile


def test_prometheus_scrapes_what_there_is(compose: dict[str, Any], tmp_path: Path) -> None:
    """Promtool takes the settings with the rules as they are mounted; targets and Grafana's source are services."""
    mounts = dict(mount.split(":")[:2] for mount in compose["services"]["prometheus"]["volumes"])
    settings = yaml.safe_load((ROOT / "compose" / "prometheus.yml").read_text())
    targets = [t for job in settings["scrape_configs"] for part in job["static_configs"] for t in part["targets"]]
    assert targets == [f"espalier:{Settings().port}"]
    sources = yaml.safe_load((ROOT / "compose" / "grafana-sources.yaml").read_text())["datasources"]
    assert [source["url"] for source in sources] == ["http://prometheus:9090"]
    mounted = {inside: ROOT / outside for outside, inside in mounts.items()}
    settings["rule_files"] = [str(mounted[path]) for path in settings["rule_files"]]
    if not shutil.which("promtool"):
        pytest.skip("promtool is missing: apt-get install prometheus")
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(settings))
    done = subprocess.run(
        ["promtool", "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
