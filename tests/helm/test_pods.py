"""What Kubernetes, its restricted policy and KubeRay want of the pods."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from deploy.listening import DRAIN_SECONDS
from deploy.local import ENVIRONMENT

from .charts import Object, one_object, pod_templates


def containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def test_the_restricted_policy_admits_every_pod(objects: list[Object]) -> None:
    for name, pod in pod_templates(objects).items():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        kinds = {key for volume in spec.get("volumes", ()) for key in volume} - {"name"}
        assert kinds <= {"emptyDir", "persistentVolumeClaim", "projected"}, name
        for container in containers(pod):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert "runAsUser" not in context, name  # OpenShift gives its own
            assert not any("hostPort" in port for port in container.get("ports", ()))


def test_where_the_root_is_read_only_what_is_written_has_a_volume(objects: list[Object]) -> None:
    for pod in pod_templates(objects).values():
        for container in containers(pod):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            if container["name"] in ("copy-ladder", "ask"):
                continue  # cp and wget write nowhere else
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
            assert {"name": "HOME", "value": "/tmp"} in container["env"]


def test_the_controller_looks_after_its_replicas_as_seldom_as_on_one_machine(objects: list[Object]) -> None:
    (container,) = pod_templates(objects)["head"]["spec"]["containers"]
    name = "RAY_SERVE_CONTROL_LOOP_INTERVAL_S"
    assert {"name": name, "value": ENVIRONMENT[name]} in container["env"]


def test_no_pod_but_the_autoscalers_has_a_token_of_the_api_server(objects: list[Object]) -> None:
    scaled = one_object(objects, "RayService")["spec"]["rayClusterConfig"].get("enableInTreeAutoscaling", False)
    for name, pod in pod_templates(objects).items():
        assert pod["spec"]["automountServiceAccountToken"] is (scaled and name == "head")


def test_pods_have_no_label_that_a_new_chart_would_change_or_that_kuberay_selects_by(objects: list[Object]) -> None:
    cluster = one_object(objects, "RayService")["spec"]["rayClusterConfig"]
    for template in [cluster["headGroupSpec"]["template"], *(g["template"] for g in cluster["workerGroupSpecs"])]:
        assert all(label.startswith("mergeladder.io/") for label in template["metadata"]["labels"])
        assert "annotations" not in template["metadata"]


def test_probes_are_left_to_the_operator(objects: list[Object]) -> None:
    for pod in pod_templates(objects).values():
        for container in pod["spec"]["containers"]:
            assert not [key for key in container if key.endswith("Probe")]


def test_a_server_that_is_told_to_go_has_time_to_drain(objects: list[Object]) -> None:
    cluster = one_object(objects, "RayService")["spec"]["rayClusterConfig"]
    for group in cluster["workerGroupSpecs"]:
        spec = group["template"]["spec"]
        *command, seconds = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        assert command == ["python", "-m", "deploy.drain"]
        assert DRAIN_SECONDS < int(seconds) < spec["terminationGracePeriodSeconds"]


def test_every_selector_finds_its_pods(objects: list[Object]) -> None:
    pods = pod_templates(objects)
    cluster = one_object(objects, "RayService")["spec"]["rayClusterConfig"]
    servers = {group["groupName"] for group in cluster["workerGroupSpecs"]}

    def found_by(selector: dict[str, str]) -> set[str]:
        labels = {name: pod.get("metadata", {}).get("labels", {}) for name, pod in pods.items()}
        return {name for name, own in labels.items() if selector.items() <= own.items()}

    for service in (found for found in objects if found["kind"] == "Service"):
        assert found_by(service["spec"]["selector"]) == {service["metadata"]["name"].removeprefix("ladder-")}
    policy = one_object(objects, "NetworkPolicy")["spec"]
    assert found_by(policy["podSelector"]["matchLabels"]) == servers | {"head", "ladder-test"}
    for budget in (found for found in objects if found["kind"] == "PodDisruptionBudget"):
        assert found_by(budget["spec"]["selector"]["matchLabels"]) == servers
        assert 0 < budget["spec"]["minAvailable"] < sum(group["maxReplicas"] for group in cluster["workerGroupSpecs"])


@pytest.mark.parametrize(
    ("source", "before", "path"),
    [
        ({"claim": {"name": "c", "path": "a/b"}}, [], "/ladders/a/b"),
        ({"image": {"repository": "r/l", "tag": "7"}}, ["copy-ladder", "verify-ladder"], "/ladders/ladder"),
        ({"objectStore": {"source": "store:b/l", "secret": "s"}}, ["fetch-ladder", "verify-ladder"], "/ladders/ladder"),
        ({"objectStore": {"source": "store:b/l"}, "verify": False}, ["fetch-ladder"], "/ladders/ladder"),
    ],
    ids=["claim", "image", "object store", "unverified"],
)
def test_the_ladder_is_there_and_was_verified_before_a_server_starts(
    render_with: Callable[..., list[Object]], source: dict[str, Any], before: list[str], path: str
) -> None:
    objects = render_with({"ladder": source})
    pods = pod_templates(objects)
    spec = pods["cpu"]["spec"]
    first = spec.get("initContainers", [])
    config = one_object(objects, "RayService")["spec"]["serveConfigV2"]
    verifying = [found for pod in pods.values() for found in containers(pod) if found["name"] == "verify-ladder"]

    assert [container["name"] for container in first] == before
    mount = {"name": "ladders", "mountPath": "/ladders" if "claim" in source else path}
    assert mount | {"readOnly": True} in spec["containers"][0]["volumeMounts"]
    assert f"ladder: {path}\n" in config
    assert [found["command"] for found in verifying] == (
        [["mergeladder", "verify", path]] if source.get("verify", True) else []
    )
    assert ("ladder-verify" in pods) == ("claim" in source)
    if "claim" in source:
        job = one_object(objects, "Job")
        assert set(job["metadata"]["annotations"]["helm.sh/hook"].split(",")) == {"pre-install", "pre-upgrade"}
    else:
        assert mount in first[0]["volumeMounts"]
        assert first[0]["command"][-1] == path


def test_secrets_are_named_and_never_written(objects: list[Object]) -> None:
    text = str(objects)

    assert not [found for found in objects if found["kind"] in ("Secret", "ConfigMap")]
    assert not re.search(r"(?i)(password|token|access_key)'?: '(?!mode)[^']{3,}", text.replace("'key': 'password'", ""))


def test_only_what_must_gets_in(render_with: Callable[..., list[Object]]) -> None:
    peer = {"podSelector": {"matchLabels": {"app": "web"}}}
    rules = one_object(render_with({"networkPolicy": {"clients": [peer]}}), "NetworkPolicy")["spec"]["ingress"]
    to = {port["port"]: rule["from"] for rule in rules for port in rule.get("ports", ()) if "from" in rule}
    unrestricted = [rule for rule in rules if "ports" not in rule]

    assert to[8265][0]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "kuberay-operator"}
    assert [peer] in [rule.get("from") for rule in rules if rule.get("ports") == [{"port": 8000}]]
    assert [rule["from"] for rule in unrestricted] == [
        [{"podSelector": {"matchLabels": {"mergeladder.io/release": "ladder"}}}]
    ]
