"""Real Helm 3 and 4 lint and render the chart, and refuse what is wrong, with the reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft7Validator

from deploy.sizing import Sizing, needs_memory
from merge_builder.errors import InputError
from merge_builder.ladder import parse_bytes

from .charts import CHART, EXAMPLES, Object, RefusedError, helm, one_object, render, skip_without
from .conftest import MINIMAL

CPU = {"name": "cpu", "cpu": 4, "memory": "8Gi"}
GPU = {"name": "gpu", "cpu": 4, "memory": "8Gi", "gpus": 1}


def test_lints_strictly(helm_name: str, example: Path) -> None:
    assert "0 chart(s) failed" in helm(helm_name, "lint", "--strict", str(CHART), "--values", str(example))


def test_there_is_an_example_for_each_kind_of_fleet() -> None:
    assert [path.stem for path in EXAMPLES] == ["air-gapped", "mig", "mixed-fleet", "one-cpu", "one-gpu"]


def test_renders_the_objects_of_a_release(objects: list[Object], example: Path) -> None:
    kinds = [found["kind"] for found in objects]
    values = yaml.safe_load(example.read_text())

    assert kinds.count("RayService") == kinds.count("NetworkPolicy") == kinds.count("ServiceAccount") == 1
    assert kinds.count("Service") == len(values["groups"])
    assert kinds.count("Job") == ("claim" in values["ladder"])
    assert kinds.count("PodMonitor") == ("podMonitor" in values)
    assert kinds.count("Ingress") == ("ingress" in values)
    assert kinds.count("HTTPRoute") == ("route" in values)
    assert kinds.count("Pod") == 1  # helm test
    assert {found["metadata"]["labels"]["app.kubernetes.io/instance"] for found in objects} == {"ladder"}


WRONG: dict[str, dict[str, Any]] = {  # by where it is wrong, as one file: Helm tells all that a schema refuses at once
    "budgett": {"budgett": "1GiB"},
    "repositry": {"image": {"repositry": "x"}},
    "image.digest": {"image": {"digest": "sha256:123"}},
    "folder": {"ladder": {"claim": {"folder": "y"}}},
    "ladder.claim.path": {"ladder": {"claim": {"path": "../other"}}},
    "auth": {"auth": {"keys": "a key itself"}},
    "autoscaling.config": {"autoscaling": {"config": {"max_replicas": 3}}},
    "upgradeStrategy": {"upgradeStrategy": "Rolling"},
    "pdb.minAvailable": {"pdb": {"minAvailable": "50%"}},
    "drainSeconds": {"drainSeconds": 5},
    "route.parentRefs": {"route": {"enabled": True}},
    "groups.0.name": CPU | {"name": "Upper"},
    "groups.1.cpu": CPU | {"cpu": "four"},
    "groups.2.memory": CPU | {"memory": "8 gigs"},
    "groups.3.budget": CPU | {"budget": "much"},
    "budgets": CPU | {"budgets": "1GiB"},
    "groups.5.rung": CPU | {"rung": "largest"},
    "groups.6.nodeAffinity.0.operator": CPU | {"nodeAffinity": [{"key": "a", "operator": "Greater"}]},
    "groups.7.minGpuMemoryMiB": CPU | {"minGpuMemoryMiB": 0},
}


@pytest.mark.parametrize(
    "budget", ["13GiB", "1.5 GB", "300kB", "1048576", "7B", "0.8", ".5", "1.0", "13Gi", "300M", "1.5", "50%", "-1"]
)
def test_the_schema_takes_the_budgets_that_a_replica_reads(budget: str) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["definitions"]["budget"]
    try:
        read = needs_memory(Sizing(budget=budget)) or parse_bytes(budget) > 0
    except InputError:
        read = False
    assert Draft7Validator(schema).is_valid(budget) == read


def test_the_schema_refuses_what_is_misspelt_or_of_a_wrong_form(render_with: Callable[..., Any]) -> None:
    values: dict[str, Any] = {"groups": [wrong for wrong in WRONG.values() if "cpu" in wrong]}
    for wrong in WRONG.values():
        for key, value in wrong.items() if "cpu" not in wrong else ():
            values[key] = merged(values.get(key, {}), value)
    with pytest.raises(RefusedError) as refused:
        render_with(values)
    told = str(refused.value).replace("/", ".")

    assert [where for where in WRONG if where not in told] == []


def merged(one: Any, other: Any) -> Any:
    """`other` over `one`, key by key."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    return one | {key: merged(one.get(key, {}), value) for key, value in other.items()}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"ladder": {}}, "0 sources of the ladder"),
        ({"ladder": {"claim": {"name": "a"}, "image": {"repository": "b"}}}, "2 sources of the ladder"),
        ({"auth": {}}, "auth.keysSecret"),
        ({"budget": "1GiB", "rung": "2.0"}, "budget and rung are both set"),
        ({"groups": [CPU | {"budget": "1GiB", "rung": "2.0"}]}, "group cpu: budget and rung"),
        ({"groups": [CPU, CPU]}, "two groups are named cpu"),
        ({"groups": [CPU | {"maxReplicas": 3}]}, "mean nothing without autoscaling"),
        (
            {"autoscaling": {"enabled": True}, "groups": [CPU | {"minReplicas": 3, "maxReplicas": 2}]},
            "minReplicas is larger",
        ),
        ({"groups": [CPU], "replicaCpus": 8}, "too few for its replicas"),
        ({"groups": [CPU | {"minGpuMemoryMiB": 5}]}, "without gpus"),
        ({"groups": [GPU, GPU | {"name": "more"}]}, "same GPUs"),
        ({"groups": [GPU | {"minGpuMemoryMiB": 9}, GPU | {"name": "more", "minGpuMemoryMiB": 9}]}, "same GPUs"),
        ({"groups": [GPU, GPU | {"name": "more", "minGpuMemoryMiB": 9}]}, "minGpuMemoryMiB is missing"),
        ({"groups": [CPU, GPU], "dtype": "int8"}, "int8 computes on CPUs alone"),
        ({"fullnameOverride": "x" * 41}, "set fullnameOverride"),
        ({"fullnameOverride": "1st"}, "set fullnameOverride"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@skip_without("helm-4")
def test_the_chart_refuses_what_cannot_work(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        render("helm-4", MINIMAL | wrong)


def test_the_values_schema_is_closed_and_has_every_default() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())

    def objects_of(node: Any) -> list[dict[str, Any]]:
        if isinstance(node, list):
            return [found for item in node for found in objects_of(item)]
        if not isinstance(node, dict):
            return []
        own = [node] if "properties" in node and node.get("type") == "object" else []
        return own + [found for value in node.values() for found in objects_of(value)]

    assert Draft7Validator(schema).is_valid(defaults)
    assert set(schema["properties"]) == set(defaults) | {"global"}  # Helm itself puts `global` there
    for closed in objects_of(schema["properties"]):
        assert closed.get("additionalProperties") is False


def test_helm_test_asks_every_group_that_has_pods(objects: list[Object], example: Path) -> None:
    values = yaml.safe_load(example.read_text())
    (script,) = one_object(objects, "Pod")["spec"]["containers"][0]["args"]
    asked = {line.split()[1] for line in script.splitlines() if line.startswith("ask ladder")}
    running = {group["name"] for group in values["groups"] if group.get("minReplicas", group.get("replicas", 1))}

    assert asked == {"ladder-serve-svc", *(f"ladder-{name}" for name in running)}


def test_a_packaged_chart_renders_the_same(helm_name: str, tmp_path: Path) -> None:
    helm(helm_name, "package", str(CHART), "--destination", str(tmp_path))

    assert render(helm_name, EXAMPLES[0], chart=next(tmp_path.glob("*.tgz"))) == render(helm_name, EXAMPLES[0])
