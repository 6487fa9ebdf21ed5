"""Kubernetes manifests: they build, fit the API's schemas, and agree with the program and with one another."""

from __future__ import annotations

import copy
import itertools
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from prometheus_client import CollectorRegistry

from engine.environment import quiet_warnings
from server.metrics import Metrics
from server.settings import Settings
from tests.k8s.manifests import COMPONENTS, OVERLAYS, Document, Pod, of_kind, overlay, pods, settings_of, with_component

VERSIONS = ("1.37", "1.36", "1.35")
"""The current Kubernetes and two earlier ones."""

OWN_SCHEMAS = frozenset({"HTTPRoute", "ServiceMonitor", "PrometheusRule", "ScaledObject", "LeaderWorkerSet"})
"""Kinds that others define; Kubernetes' own schemas do not know them."""

STARTUP_SECONDS = {"cpu-demo": 120, "single-gpu": 1200, "fleet": 1800, "multi-node": 1800}
"""How long the slowest start that we have seen, or expect of a download, takes; probes must bear it."""

Documents = tuple[Document, ...]


@pytest.fixture(params=[*OVERLAYS, *(f"+{name}" for name in COMPONENTS)])
def documents(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Documents:
    """Each overlay, and the demonstration with each component."""
    name = str(request.param)
    folder = tmp_path_factory.getbasetemp() / "k8s"
    return with_component(name[1:], folder / name[1:]) if name.startswith("+") else overlay(name)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_built_fits_the_schemas(documents: Documents, version: str) -> None:
    """Strictly: an unknown field is a fault."""
    known = [each for each in documents if each["kind"] not in OWN_SCHEMAS]
    assert known
    for document in known:
        kubernetes_validate.validate(copy.deepcopy(document), version, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    """The validation above can fail."""
    wrong = copy.deepcopy(of_kind(overlay("cpu-demo"), "Deployment")[0])
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_settings_are_the_programs(documents: Documents) -> None:
    """Every key of a settings file, every flag and every ESPALIER variable exists, with a value that it takes."""
    settings = Settings.model_validate(settings_of(documents))
    assert settings.host == "0.0.0.0"  # noqa: S104 - in a pod
    for container in servers(documents):
        named = [each["name"] for each in container.get("env", []) if each["name"].startswith("ESPALIER_")]
        known = {f"ESPALIER_{name.upper()}" for name in Settings.model_fields} | {"ESPALIER_CONFIG"}
        assert set(named) <= known
        flags = {word.partition("=")[0] for word in container.get("args", []) if word.startswith("--")}
        assert flags <= {f"--{name.replace('_', '-')}" for name in Settings.model_fields}


def test_ports_labels_and_selectors_agree(documents: Documents) -> None:
    """A Service finds pods, and the port that it names is one that a container opens; nothing selects nothing."""
    found = list(pods(documents))
    for service in of_kind(documents, "Service"):
        chosen = selected(found, service["spec"]["selector"])
        assert chosen, service["metadata"]["name"]
        for port in service["spec"]["ports"]:
            for pod in chosen:
                assert port["targetPort"] in names_of_ports(pod), service["metadata"]["name"]
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        for each in of_kind(documents, kind):
            selector = each["spec"].get("selector", each["spec"].get("podSelector"))
            assert matched(found, selector), each["metadata"]["name"]
    for container in servers(documents):
        opened = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert opened["http"] == settings_of(documents)["port"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in opened


def test_grace_follows_from_the_drain_and_the_searches(documents: Documents) -> None:
    """A pod is given its preStop sleep, the drain and time to close; a drain bears the longest search."""
    settings = Settings.model_validate(settings_of(documents))
    assert settings.drain_seconds >= settings.max_seconds
    for pod in servers_pods(documents):
        sleep = pod.spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        probe = pod.spec["containers"][0]["readinessProbe"]
        assert sleep > probe["periodSeconds"] * probe["failureThreshold"]
        assert pod.spec["terminationGracePeriodSeconds"] >= sleep + settings.drain_seconds + 15
    for route in of_kind(documents, "HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for limit in rule["timeouts"].values():
                assert float(limit.removesuffix("s")) > settings.queue_seconds + settings.max_seconds


def test_an_update_of_a_fleet_leaves_every_kind_of_part_somebody() -> None:
    """Old ones go first only where others of their kind stay."""
    deployments = of_kind(overlay("fleet"), "Deployment")
    assert len(deployments) == 3
    for deployment in deployments:
        rolling = deployment["spec"]["strategy"]["rollingUpdate"]
        assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"
        assert deployment["spec"]["replicas"] > rolling["maxUnavailable"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_probes_bear_the_slowest_start(name: str) -> None:
    """The startup probe's budget is above the time that a model takes to load; liveness waits for it."""
    for container in servers(overlay(name)):
        probe = container["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] > STARTUP_SECONDS[name]
        assert probe["httpGet"]["path"] == "/health/ready"
        assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"


def test_no_container_has_more_rights_than_it_needs(documents: Documents) -> None:
    """No root, no new privileges, no capabilities, no token of the cluster's."""
    found = list(pods(documents))
    assert found
    for pod in found:
        assert pod.spec["securityContext"]["runAsNonRoot"] is True
        assert pod.spec["securityContext"]["runAsUser"] > 0
        assert pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod.spec["automountServiceAccountToken"] is False
        assert pod.spec["enableServiceLinks"] is False
        for container in pod.containers:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_every_place_that_is_written_to_is_a_volume(documents: Documents) -> None:
    """The root may be read-only: the cache, /tmp and shared memory are mounted."""
    for pod in servers_pods(documents):
        volumes = {each["name"] for each in pod.spec["volumes"]}
        for container in pod.containers:
            mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
            assert {"/cache", "/tmp", "/dev/shm"} <= set(mounts)
            assert set(mounts.values()) <= volumes
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", ["autoscaling-hpa", "autoscaling-keda"])
def test_an_autoscaler_has_the_replicas_to_itself(name: str, tmp_path: Path) -> None:
    """Where one scales, the Deployment says no number; what is asked for is a metric of the server's."""
    built = with_component(name, tmp_path)
    assert "replicas" not in of_kind(built, "Deployment")[0]["spec"]
    registry = CollectorRegistry()
    Metrics(registry)
    known = {sample.name for family in registry.collect() for sample in family.samples}
    (scaler,) = of_kind(built, "HorizontalPodAutoscaler", "ScaledObject")
    asked = set(re.findall(r"mcts_\w+", str(scaler)))
    assert asked
    assert asked <= known


@pytest.mark.parametrize("name", ["fleet", "multi-node"])
def test_gateways_name_services_that_there_are(name: str) -> None:
    """The engines' addresses in the settings are headless Services of the overlay, with the port that these name."""
    documents = overlay(name)
    settings = Settings.model_validate(settings_of(documents))
    headless = {
        f"dns+http://{each['metadata']['name']}:{each['spec']['ports'][0]['port']}"
        for each in of_kind(documents, "Service")
        if each["spec"].get("clusterIP") == "None"
    }
    assert {*settings.engine_url, *settings.reward_url} == headless


@pytest.mark.parametrize("name", ["fleet", "multi-node"])
def test_engines_are_reached_from_gateways_and_prometheus_alone(name: str) -> None:
    """No policy lets another pod in: engines take anybody's word."""
    documents = overlay(name)
    found = list(pods(documents))
    engines = [pod for pod in found if pod.labels["app.kubernetes.io/component"] in {"engine", "reward"}]
    assert engines
    let_in: set[str] = set()
    for policy in of_kind(documents, "NetworkPolicy"):
        covered = matched(found, policy["spec"]["podSelector"])
        if not any(pod in covered for pod in engines):
            continue
        for rule in policy["spec"].get("ingress", []):
            for source in rule["from"]:
                pod_labels = source.get("podSelector", {}).get("matchLabels", {})
                namespace = source.get("namespaceSelector", {}).get("matchLabels", {})
                let_in.add(pod_labels.get("app.kubernetes.io/component") or namespace["kubernetes.io/metadata.name"])
    assert let_in == {"server", "monitoring"} | ({"engine"} if name == "multi-node" else set())


@pytest.mark.vllm
@pytest.mark.parametrize("name", ["fleet", "multi-node"])
def test_engines_get_flags_that_vllm_has(name: str) -> None:
    """Parsed by vLLM's own parser, which knows the flags of the version that the image is of."""
    with quiet_warnings:
        from vllm.entrypoints.launchers.cli_args import make_arg_parser
        from vllm.utils.argparse_utils import FlexibleArgumentParser

        parser = make_arg_parser(FlexibleArgumentParser())
    documents = overlay(name)
    engines = [pod.spec["containers"][0] for pod in pods(documents) if pod not in servers_pods(documents)]
    assert engines
    for container in engines:
        words = [
            word.replace("$(LWS_WORKER_INDEX)", "1").replace("$(LWS_LEADER_ADDRESS)", "a") for word in container["args"]
        ]
        parsed, rest = parser.parse_known_args(words)
        assert rest == []
        assert parsed.headless or parsed.port == opened_port(container)


def opened_port(container: Document) -> int:
    """The port that a container opens under the name http."""
    (port,) = [each["containerPort"] for each in container["ports"] if each["name"] == "http"]
    return int(port)


def servers_pods(documents: Documents) -> list[Pod]:
    """Pods that run Espalier."""
    return [pod for pod in pods(documents) if pod.labels.get("app.kubernetes.io/component") == "server"]


def servers(documents: Documents) -> list[Any]:
    """Their first containers."""
    found = [pod.spec["containers"][0] for pod in servers_pods(documents)]
    assert found
    return found


def selected(found: list[Pod], labels: dict[str, str]) -> list[Pod]:
    """The pods that have all of some labels."""
    return [pod for pod in found if labels.items() <= pod.labels.items()]


def matched(found: list[Pod], selector: Document) -> list[Pod]:
    """The pods that a selector with labels and ``In`` expressions chooses."""
    chosen = selected(found, selector.get("matchLabels", {}))
    for each in selector.get("matchExpressions", []):
        assert each["operator"] == "In"
        chosen = [pod for pod in chosen if pod.labels.get(each["key"]) in each["values"]]
    return chosen


def names_of_ports(pod: Pod) -> set[str]:
    """By which Services may name a pod's ports."""
    return set(itertools.chain.from_iterable((port["name"] for port in each["ports"]) for each in pod.containers))
