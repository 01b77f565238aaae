"""Every rendered object is one that the API server would take, strictly, of the oldest to the newest Kubernetes."""

import copy
from collections import defaultdict
from typing import Any

import pytest

from .charts import EXAMPLES, Object, one_object, pod_templates, skip_without
from .conftest import rendered
from .schemas import RAYSERVICE_CRD, VERSIONS, errors, kubernetes, rayservice

GROUP = {"rayStartParams", "template", "labels", "resources"}
KNOWN = {
    "RayService": {
        "": {"excludeHeadPodFromServeSvc", "upgradeStrategy", "serveConfigV2", "rayClusterConfig"},
        "upgradeStrategy": {"type"},
        "rayClusterConfig": {"rayVersion", "authOptions", "gcsFaultToleranceOptions", "enableInTreeAutoscaling"}
        | {"autoscalerOptions", "headGroupSpec", "workerGroupSpecs"},
        "rayClusterConfig.authOptions": {"mode"},
        "rayClusterConfig.gcsFaultToleranceOptions": {"redisAddress", "redisPassword"},
        "rayClusterConfig.autoscalerOptions": {"version", "securityContext", "env", "volumeMounts"},
        "rayClusterConfig.headGroupSpec": GROUP,
        "rayClusterConfig.workerGroupSpecs": GROUP | {"groupName", "replicas", "minReplicas", "maxReplicas"},
    },
    "PodMonitor": {
        "": {"selector", "podTargetLabels", "podMetricsEndpoints"},
        "podMetricsEndpoints": {"port", "path", "interval"},
    },
    "HTTPRoute": {
        "": {"parentRefs", "hostnames", "rules"},
        "rules": {"backendRefs"},
        "rules.backendRefs": {"name", "port"},
    },
}
CUSTOM = {"RayService", "PodMonitor", "HTTPRoute"}
with_schemas = skip_without("kubernetes-schemas")
with_crd = pytest.mark.skipif(not RAYSERVICE_CRD.exists(), reason="KubeRay's CustomResourceDefinition is not here")


@with_schemas
@pytest.mark.parametrize("version", VERSIONS)
def test_built_in_kinds_and_every_pod(objects: list[Object], version: str) -> None:
    known = [found for found in objects if found["kind"] not in CUSTOM]
    pods = [{"apiVersion": "v1", "kind": "Pod", **template} for template in pod_templates(objects).values()]

    by_kind = defaultdict(list)
    for found in known + pods:
        by_kind[f"{found['apiVersion']} {found['kind']}"].append(found)

    assert len(known) >= 4
    assert len(by_kind["v1 Pod"]) >= 3
    assert not list(errors(kubernetes(version), by_kind))


@with_schemas
def test_the_check_finds_what_is_misspelt(objects: list[Object]) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", **copy.deepcopy(pod_templates(objects)["head"])}
    pod["spec"]["containers"][0]["volumeMount"] = pod["spec"]["containers"][0].pop("volumeMounts")
    pod["spec"]["securityContext"]["runAsNonRoot"] = "yes"

    assert len(list(errors(kubernetes("1.28"), {"v1 Pod": [pod], "v1 Pot": []}))) == 3


@with_crd
def test_the_rayservice(objects: list[Object]) -> None:
    assert not list(errors(rayservice(), one_object(objects, "RayService")))


@with_crd
@skip_without("helm-4")
def test_the_rayservice_check_finds_what_is_misspelt() -> None:
    service = copy.deepcopy(one_object(rendered("helm-4", EXAMPLES[0]), "RayService"))
    group = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    group["minReplica"] = group.pop("minReplicas")
    group["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    service["spec"]["rayClusterConfig"]["rayVersion"] = 2.6

    assert len(list(errors(rayservice(), service))) == 4  # one key is missing as well


def test_other_objects_have_only_keys_that_their_kinds_know(objects: list[Object]) -> None:
    """By KubeRay 1.7, prometheus-operator 0.80 and Gateway API 1.0: what holds where no definition is at hand."""
    for found in objects:
        assert set(found) <= {"apiVersion", "kind", "metadata", "spec", "automountServiceAccountToken"}
        for place, keys in KNOWN.get(found["kind"], {}).items():
            for part in _at(found["spec"], place.split(".")):
                assert set(part) <= keys, (found["kind"], place)


def _at(node: Any, path: list[str]) -> list[Any]:
    if isinstance(node, list):
        return [found for item in node for found in _at(item, path)]
    if path and path[0]:
        return _at(node[path[0]], path[1:]) if path[0] in node else []
    return [node]


def test_a_pod_monitor_scrapes_ports_that_the_pods_have(objects: list[Object]) -> None:
    for monitor in (found for found in objects if found["kind"] == "PodMonitor"):
        selected = monitor["spec"]["selector"]["matchLabels"].items()
        server = pod_templates(objects)["small"]
        ports = {port["name"] for port in server["spec"]["containers"][0]["ports"]}

        assert selected <= server["metadata"]["labels"].items()
        assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} == ports
        assert set(monitor["spec"]["podTargetLabels"]) <= set(server["metadata"]["labels"])
