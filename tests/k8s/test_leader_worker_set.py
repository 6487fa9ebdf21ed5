"""LeaderWorkerSets against the schema of their own definition, pod templates and all. No npm package has it."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.k8s.manifests import Document, of_kind, overlay

GOLDEN = Path(__file__).parent / "golden" / "leaderworkerset.json.gz"


def _strict(schema: Any) -> Any:
    """The schema with unknown fields refused where Kubernetes would drop them."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items()}
    named = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if named and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


@pytest.fixture(scope="module")
def judge() -> jsonschema.Draft202012Validator:
    """What tells whether a resource fits."""
    return jsonschema.Draft202012Validator(_strict(json.loads(gzip.decompress(GOLDEN.read_bytes()))))


def _ours() -> Document:
    (found,) = of_kind(overlay("multi-node"), "LeaderWorkerSet")
    return copy.deepcopy(found)


def test_ours_fits_its_definition(judge: jsonschema.Draft202012Validator) -> None:
    """No field and no value that the definition does not know."""
    assert _ours()["apiVersion"] == "leaderworkerset.x-k8s.io/v1"
    assert [error.message for error in judge.iter_errors(_ours())] == []


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (["leaderWorkerTemplate", "sizes"], 2, "sizes"),
        (["leaderWorkerTemplate", "size"], "two", "two"),
        (["leaderWorkerTemplate", "restartPolicy"], "RecreateOnDelete", "RecreateOnDelete"),
        (["leaderWorkerTemplate", "workerTemplate", "spec", "containers", 0, "port"], 1, "port"),
    ],
)
def test_a_fault_would_be_found(
    judge: jsonschema.Draft202012Validator, path: list[str | int], value: object, told: str
) -> None:
    """An unknown field, a wrong type and a value out of its set, in the pods too."""
    wrong = _ours()
    place = wrong["spec"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert any(told in error.message for error in judge.iter_errors(wrong))
