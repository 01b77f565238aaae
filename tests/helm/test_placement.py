"""Which group's pods a node gets, by its labels, and which budget holds there."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.user_config import UserConfig

from .charts import ROOT, Object, one_object, render, skip_without
from .conftest import MINIMAL

pytestmark = skip_without("helm-4")
MIXED = ROOT / "examples/kubernetes/mixed-fleet.yaml"
LABEL = "nvidia.com/gpu.memory"
GPU = {"cpu": 4, "memory": "8Gi", "gpus": 1}


def holds(rule: Object, labels: dict[str, str]) -> bool:
    """One matchExpression, as Kubernetes defines it."""
    value, values = labels.get(rule["key"]), rule.get("values", [])
    match rule["operator"]:
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Gt":
            return value is not None and int(value) > int(values[0])
        case "Lt":
            return value is not None and int(value) < int(values[0])
    raise AssertionError(rule)


def takes(group: Object, labels: dict[str, str]) -> bool:
    """Whether the scheduler may put the group's pods on a node with `labels`."""
    spec = group["template"]["spec"]
    if not spec.get("nodeSelector", {}).items() <= labels.items():
        return False
    affinity = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = affinity["nodeSelectorTerms"] if affinity else [{"matchExpressions": []}]
    return any(all(holds(rule, labels) for rule in term["matchExpressions"]) for term in terms)


def groups_of(values: Path | dict[str, Any]) -> tuple[list[Object], UserConfig]:
    spec = one_object(render("helm-4", values), "RayService")["spec"]
    deployment = yaml.safe_load(spec["serveConfigV2"])["applications"][0]["deployments"][0]
    return spec["rayClusterConfig"]["workerGroupSpecs"], UserConfig.model_validate(deployment["user_config"])


@pytest.fixture(scope="module")
def mixed() -> tuple[list[Object], UserConfig]:
    return groups_of(MIXED)


@pytest.mark.parametrize(
    ("node", "memory", "group", "budget"),
    [
        ("no GPU", None, "cpu", "0.7"),
        ("a GPU too small for any", 8192, None, None),
        ("MIG 1g.10gb, strategy single", 9728, None, None),
        ("T4", 15360, "small", "12GiB"),
        ("V100 of 16 GB", 16384, "small", "12GiB"),
        ("L4", 23034, "small", "12GiB"),
        ("A10", 23028, "small", "12GiB"),
        ("V100 of 32 GB", 32768, "small", "12GiB"),
        ("A100 of 40 GB", 40960, "medium", None),
        ("MIG 3g.40gb, strategy single", 40192, "medium", None),
        ("L40S", 46068, "medium", None),
        ("A100 of 80 GB", 81920, "large", "0.9"),
        ("H100", 81559, "large", "0.9"),
        ("H200", 143771, "large", "0.9"),
        ("just below a threshold", 37999, "small", "12GiB"),
        ("at a threshold", 38000, "medium", None),
    ],
)
def test_each_node_is_of_the_largest_group_that_it_can_hold(
    mixed: tuple[list[Object], UserConfig], node: str, memory: int | None, group: str | None, budget: str | None
) -> None:
    groups, config = mixed
    labels = {"kubernetes.io/hostname": node} | ({LABEL: str(memory)} if memory else {})
    taking = [found for found in groups if takes(found, labels)]

    assert [found["groupName"] for found in taking] == ([group] if group else [])
    for found in taking:
        assert config.sizing(found["labels"]["mergeladder.io/group"]).budget == budget


def test_thresholds_hold_in_any_order_and_leave_no_gap() -> None:
    thresholds = {"a": 38000, "b": 75000, "c": 14000, "d": 20000}
    groups, _ = groups_of(
        MINIMAL | {"groups": [GPU | {"name": n, "minGpuMemoryMiB": m} for n, m in thresholds.items()]}
    )

    for memory in range(12000, 90000, 500):
        fitting = {name: least for name, least in thresholds.items() if least <= memory}
        taking = [found["groupName"] for found in groups if takes(found, {LABEL: str(memory)})]
        assert taking == ([max(fitting, key=lambda name: fitting[name])] if fitting else [])
    assert [found["groupName"] for found in groups] == list(thresholds)  # KubeRay: another order would be a new cluster


def test_other_resources_have_thresholds_of_their_own() -> None:
    other = GPU | {"name": "amd", "gpuResource": "amd.com/gpu", "minGpuMemoryMiB": 60000}
    groups, _ = groups_of(MINIMAL | {"groups": [GPU | {"name": "nvidia", "minGpuMemoryMiB": 14000}, other]})

    assert [found["groupName"] for found in groups if takes(found, {LABEL: "81559"})] == ["nvidia", "amd"]


def test_conditions_of_the_user_hold_as_well() -> None:
    zone = {"key": "zone", "operator": "In", "values": ["a"]}
    (group,), _ = groups_of(
        MINIMAL | {"groups": [GPU | {"name": "g", "minGpuMemoryMiB": 9000, "nodeAffinity": [zone]}]}
    )

    assert takes(group, {LABEL: "15360", "zone": "a"})
    assert not takes(group, {LABEL: "15360", "zone": "b"})
    assert not takes(group, {LABEL: "8192", "zone": "a"})


def test_a_slice_of_a_gpu_places_its_pod_by_its_resource() -> None:
    groups, config = groups_of(ROOT / "examples/kubernetes/mig.yaml")
    found = {
        (name, group["groupName"], config.sizing(group["groupName"]).budget)
        for group in groups
        for name in group["template"]["spec"]["containers"][0]["resources"]["limits"]
        if name.startswith("nvidia.com/")
    }

    assert found == {
        ("nvidia.com/mig-1g.10gb", "mig-10gb", "8GiB"),
        ("nvidia.com/mig-1g.20gb.me", "mig-20gb-me", "17GiB"),
    }
    assert all("affinity" not in group["template"]["spec"] for group in groups)
    assert [group["resources"] for group in groups] == [{"GPU": "1"}] * 2  # KubeRay knows only the first by itself
