"""The Ray Serve configuration inside the RayService: Ray's own schema takes it, and so do the application's."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from deploy.app import DEPLOYMENT, build
from deploy.app_args import AppArgs
from deploy.autoscale import by_backlog
from deploy.replica import GROUP_LABEL
from deploy.user_config import UserConfig

from .charts import Object, one_object, pod_templates


def config_of(objects: list[Object]) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(one_object(objects, "RayService")["spec"]["serveConfigV2"])
    return config


def deployment_of(objects: list[Object]) -> dict[str, Any]:
    ((deployment,),) = (application["deployments"] for application in config_of(objects)["applications"])
    found: dict[str, Any] = deployment
    return found


def test_ray_takes_it_and_knows_every_key(objects: list[Object]) -> None:
    config = config_of(objects)
    taken = ServeDeploySchema.model_validate(config).model_dump(exclude_unset=True, mode="json")

    assert taken["proxy_location"] == "Disabled"
    (application,), (given,) = taken["applications"], config["applications"]
    assert set(application) == set(given)
    assert set(application["deployments"][0]) == set(given["deployments"][0])  # Ray drops keys that it does not know
    assert set(application["deployments"][0]["ray_actor_options"]) == set(given["deployments"][0]["ray_actor_options"])


def test_the_application_takes_it(objects: list[Object]) -> None:
    (application,) = config_of(objects)["applications"]
    args = AppArgs.model_validate(application["args"])
    module, _, function = application["import_path"].partition(":")

    assert (module, function) == (build.__module__, build.__name__)
    assert application["deployments"][0]["name"] == DEPLOYMENT
    assert (args.host, args.port) == ("0.0.0.0", 8000)  # KubeRay's probe and Service ask there
    assert UserConfig.model_validate(application["deployments"][0]["user_config"])


def test_there_is_a_replica_for_each_gpu_or_pod(objects: list[Object]) -> None:
    cluster, deployment = one_object(objects, "RayService")["spec"]["rayClusterConfig"], deployment_of(objects)
    limits = {name: pod["spec"]["containers"][0]["resources"]["limits"] for name, pod in pod_templates(objects).items()}
    gpus = {
        group["groupName"]: sum(n for name, n in limits[group["groupName"]].items() if "/" in name)
        for group in cluster["workerGroupSpecs"]
    }
    bounds = [
        sum(group[bound] * max(1, gpus[group["groupName"]]) for group in cluster["workerGroupSpecs"])
        for bound in ("minReplicas", "maxReplicas")
    ]
    scaling = deployment.get("autoscaling_config", {})
    asked = deployment["ray_actor_options"]

    assert [scaling.get("min_replicas", deployment.get("num_replicas")), bounds[1]] == [
        bounds[0],
        scaling.get("max_replicas", deployment.get("num_replicas")),
    ]
    assert deployment["max_replicas_per_node"] == max(1, *gpus.values())
    if scaling:
        module, _, function = scaling["policy"]["policy_function"].partition(":")
        assert (module, function) == (by_backlog.__module__, by_backlog.__name__)
    assert bool(scaling) == cluster.get("enableInTreeAutoscaling", False)
    for group in cluster["workerGroupSpecs"]:
        slots = int(group.get("resources", {}).get("GPU", 0))
        assert slots == (max(1, gpus[group["groupName"]]) if asked.get("num_gpus") else 0)
        assert limits[group["groupName"]]["cpu"] >= asked["num_cpus"] * max(1, slots)
        assert group["labels"] == {GROUP_LABEL: group["groupName"]}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"  # so that no replica goes there


def test_budgets_rungs_and_floors_arrive(render_with: Callable[..., list[Object]]) -> None:
    groups = [
        {"name": "a", "cpu": 2, "memory": "4Gi", "budget": "2GiB"},
        {"name": "b", "cpu": 2, "memory": "4Gi", "rung": "#7"},
        {"name": "c", "cpu": 2, "memory": "4Gi"},
    ]
    objects = render_with({"budget": "0.5", "floors": {"medical": "2.0"}, "groups": groups})
    config = UserConfig.model_validate(deployment_of(objects)["user_config"])

    assert [(config.sizing(name).budget, config.sizing(name).rung) for name in "abc"] == [
        ("2GiB", None),
        (None, "#7"),
        ("0.5", None),
    ]
    assert config.floors == {"medical": "2.0"}


def test_weights_of_eight_bits_arrive_and_nothing_is_said_of_the_default(
    render_with: Callable[..., list[Object]],
) -> None:
    def args_with(values: dict[str, Any]) -> dict[str, Any]:
        args: dict[str, Any] = config_of(render_with(values))["applications"][0]["args"]
        return args

    assert AppArgs.model_validate(args_with({"dtype": "int8"})).dtype == "int8"
    assert args_with({"dtype": "float32"}) == args_with({})
    assert "dtype" not in args_with({})  # what older charts rendered, so that replicas stay when the chart changes


def test_every_argument_of_the_application_can_be_set(render_with: Callable[..., list[Object]]) -> None:
    every = {"dtype": "int8", "auth": {"keysSecret": "asking", "adminKeysSecret": "admins"}}
    assert set(config_of(render_with(every))["applications"][0]["args"]) == set(AppArgs.model_fields)


@pytest.mark.parametrize(
    ("auth", "files"),
    [
        ({"keysSecret": "asking"}, {"keys": "asking"}),
        ({"adminKeysSecret": "admins", "insecure": True}, {"admin-keys": "admins"}),
        ({"keysSecret": "asking", "adminKeysSecret": "admins"}, {"keys": "asking", "admin-keys": "admins"}),
        ({"insecure": True}, {}),
    ],
)
def test_keys_are_files_from_secrets(
    render_with: Callable[..., list[Object]], auth: dict[str, Any], files: dict[str, str]
) -> None:
    objects = render_with({"auth": auth})
    args = config_of(objects)["applications"][0]["args"]
    spec = pod_templates(objects)["cpu"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    found = {}
    for source in volumes["keys"]["projected"]["sources"] if "keys" in volumes else ():
        (item,) = source["secret"]["items"]
        found[item["path"]] = source["secret"]["name"]

    assert found == files
    given = {name: args[name] for name in ("keys", "admin_keys") if name in args}
    assert given == {file.replace("-", "_"): f"{mounts['keys']}/{file}" for file in files}
    assert args["insecure"] == auth.get("insecure", False)
    assert [found for found in objects if found["kind"] == "Secret"] == []
