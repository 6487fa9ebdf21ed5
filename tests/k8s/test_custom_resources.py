"""Resources that others define, against their own definitions: types (no unknown fields) and validators (values).

Both come from npm, made of the definitions by kubernetes-models. Skips without node and npm.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.k8s.manifests import Document, of_kind, with_component

SOURCE = Path(__file__).parent / "crds"

MODULES = {
    "HTTPRoute": "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute",
    "PrometheusRule": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule",
    "ScaledObject": "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject",
    "ServiceMonitor": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor",
}

OPTIONS = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--moduleResolution", "nodenext"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages, installed as locked."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("crds")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCE / name, folder)
    done = subprocess.run(
        ["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"npm could not install: {done.stderr[-300:]}")
    return folder


def faults(packages: Path, resources: list[Document]) -> str:
    """What types and validators say against some resources; empty for nothing."""
    typed, run = [], []
    for number, each in enumerate(resources):
        kind, name = each["kind"], f"Kind{number}"
        literal = json.dumps({key: value for key, value in each.items() if key not in {"apiVersion", "kind"}})
        typed.append(f'import {{ {kind} as {name} }} from "{MODULES[kind]}";')
        typed.append(f"export const given{number}: ConstructorParameters<typeof {name}>[0] = {literal};")
        run.append(f'import * as module{number} from "{MODULES[kind]}";')
        run.append(f"new (module{number}.{kind} ?? module{number}.default.{kind})({literal}).validate();")
    (packages / "check.ts").write_text("\n".join(typed))
    (packages / "check.mjs").write_text("\n".join(run))
    return _output(packages, "npx", "tsc", *OPTIONS, "check.ts") or _output(packages, "node", "check.mjs")


def _output(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr)[-3000:] if done.returncode else ""


def ours(folder: Path) -> list[Document]:
    """Every such resource of our components."""
    found = []
    for name in ("gateway-api", "monitoring", "autoscaling-keda"):
        found += of_kind(with_component(name, folder / name), *MODULES)
    return found


def test_ours_fit_their_definitions(packages: Path, tmp_path: Path) -> None:
    """Each kind is there, and none has a field or a value that its definition does not know."""
    resources = ours(tmp_path)
    assert {each["kind"] for each in resources} == set(MODULES)
    assert faults(packages, resources) == ""


@pytest.mark.parametrize(
    ("kind", "path", "value", "told"),
    [
        ("ScaledObject", ["minReplicas"], 2, "minReplicas"),
        ("ScaledObject", ["pollingInterval"], "15", "string"),
        ("HTTPRoute", ["rules", 0, "timeouts", "request"], "6 minutes", "pattern"),
        ("ServiceMonitor", ["endpoints", 0, "intervall"], "15s", "intervall"),
    ],
)
def test_a_fault_would_be_found(
    kind: str, path: list[str | int], value: object, told: str, packages: Path, tmp_path: Path
) -> None:
    """An unknown field and a value of the wrong kind or form are told."""
    (wrong, *_) = [copy.deepcopy(each) for each in ours(tmp_path) if each["kind"] == kind]
    place = wrong["spec"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert told in faults(packages, [wrong])
