"""Overlays as kustomize builds them, and the parts of them that tests look at."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

K8S = Path(__file__).parents[2] / "k8s"
OVERLAYS = sorted(path.parent.name for path in K8S.glob("overlays/*/kustomization.yaml"))
COMPONENTS = sorted(path.parent.name for path in K8S.glob("components/*/kustomization.yaml"))

Document = dict[str, Any]


@cache
def built(folder: Path) -> tuple[Document, ...]:
    """What ``kubectl kustomize`` makes of a folder. Skips where there is no kubectl; it needs no cluster.

    Raises:
        AssertionError: It cannot be built.
    """
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def overlay(name: str) -> tuple[Document, ...]:
    """One of our overlays, built."""
    return built(K8S / "overlays" / name)


def with_component(name: str, folder: Path) -> tuple[Document, ...]:
    """The CPU demonstration with one more component, built in a folder of the test's."""
    overlay = folder / "k8s" / "overlays" / "test"
    shutil.copytree(K8S, folder / "k8s", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    overlay.mkdir(exist_ok=True)
    wanted = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../cpu-demo"],
        "components": [f"../../components/{name}"],
    }
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
    return built(overlay)


def of_kind(documents: tuple[Document, ...], *kinds: str) -> list[Document]:
    """The documents of some kinds."""
    return [each for each in documents if each["kind"] in kinds]


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that an overlay makes, and the name of what makes it."""

    owner: str
    spec: Document
    labels: dict[str, str]

    @property
    def containers(self) -> list[Document]:
        """Its containers, those that run first included."""
        return [*self.spec["containers"], *self.spec.get("initContainers", [])]


def pods(documents: tuple[Document, ...]) -> Iterator[Pod]:
    """Every pod template."""
    for each in of_kind(documents, "Deployment", "StatefulSet", "Job"):
        template = each["spec"]["template"]
        yield Pod(each["metadata"]["name"], template["spec"], template["metadata"]["labels"])
    for each in of_kind(documents, "LeaderWorkerSet"):
        for role in ("leaderTemplate", "workerTemplate"):
            if template := each["spec"]["leaderWorkerTemplate"].get(role):
                # What the controller of LeaderWorkerSets adds: the leader's index is 0.
                index = {"leaderworkerset.sigs.k8s.io/worker-index": "0" if role == "leaderTemplate" else "1"}
                labels = template["metadata"].get("labels", {}) | index
                yield Pod(f"{each['metadata']['name']} {role}", template["spec"], labels)


def settings_of(documents: tuple[Document, ...]) -> Document:
    """The settings file of a server, out of its ConfigMap."""
    (found,) = [each for each in of_kind(documents, "ConfigMap") if "espalier.yaml" in each["data"]]
    return dict(yaml.safe_load(found["data"]["espalier.yaml"]))
