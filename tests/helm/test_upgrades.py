"""What an upgrade changes: KubeRay makes a new cluster, with twice the GPUs, for any change of a pod's template."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from .charts import CHART, Object, one_object, render

CPU = {"name": "cpu", "cpu": 4, "memory": "8Gi"}


def cluster_of(objects: list[Object]) -> Object:
    found: Object = one_object(objects, "RayService")["spec"]["rayClusterConfig"]
    return found


def serve_of(objects: list[Object]) -> dict[str, Any]:
    return dict(yaml.safe_load(one_object(objects, "RayService")["spec"]["serveConfigV2"])["applications"][0])


def test_a_new_version_of_the_chart_alone_makes_no_new_pods(helm_name: str, example: Path, tmp_path: Path) -> None:
    chart = tmp_path / "mergeladder"
    shutil.copytree(CHART, chart)
    described = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(described.replace("\nversion: ", "\nversion: 9"))
    before, after = render(helm_name, example), render(helm_name, example, chart=chart)

    assert before != after  # the chart's version is somewhere
    assert one_object(before, "RayService")["spec"] == one_object(after, "RayService")["spec"]


def test_budgets_floors_and_a_claims_folder_make_no_new_pods(render_with: Callable[..., list[Object]]) -> None:
    before = render_with({"groups": [CPU]})
    budget = render_with({"groups": [CPU | {"budget": "2GiB"}], "floors": {"a": "2.0"}})
    folder = render_with({"groups": [CPU], "ladder": {"claim": {"name": "ladders", "path": "revision-2"}}})

    assert cluster_of(before) == cluster_of(budget) == cluster_of(folder)
    lighter = serve_of(budget)
    lighter["deployments"][0]["user_config"] = serve_of(before)["deployments"][0]["user_config"]
    assert lighter == serve_of(before)  # nothing but user_config: replicas change in place
    assert serve_of(folder)["args"] != serve_of(before)["args"]  # the replicas are replaced, the pods stay


def test_more_pods_and_another_group_leave_the_others_as_they_are(render_with: Callable[..., list[Object]]) -> None:
    before = cluster_of(render_with({"groups": [CPU]}))
    more = cluster_of(render_with({"groups": [CPU | {"replicas": 3}, CPU | {"name": "later"}]}))

    kept = copy.deepcopy(more["workerGroupSpecs"][0]) | {
        name: before["workerGroupSpecs"][0][name] for name in ("replicas", "minReplicas", "maxReplicas")
    }
    assert kept == before["workerGroupSpecs"][0]  # KubeRay ignores the counts, and appends the group in place
    assert [group["groupName"] for group in more["workerGroupSpecs"]] == ["cpu", "later"]
    assert more | {"workerGroupSpecs": []} == before | {"workerGroupSpecs": []}
