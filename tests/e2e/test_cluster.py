"""A Ray cluster of real raylets on this machine: nodes with budgets of their own, one more, one killed, a new ladder.

The tests build on each other, in their order: a cluster takes half a minute to start.
"""

import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from deploy.app_args import AppArgs
from deploy.serve_config import serve_config
from deploy.user_config import UserConfig
from merge_builder.build import build
from merge_builder.ladder import Ladder, choose, parse_bytes
from merge_builder.recipe import load_recipe
from serving.client import Client

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PATIENCE = 240  # seconds
TASKS = ["mood", "topic", "intent"]


@dataclass
class Running:
    """The cluster with its one application; `config` is what was deployed last."""

    cluster: Any
    client: Any
    ladder: Ladder
    url: str
    config: dict[str, Any]
    budgets: dict[str, str]

    def deploy(self) -> None:
        from ray.serve.schema import ServeDeploySchema

        self.client.deploy_apps(ServeDeploySchema.model_validate(self.config))

    @property
    def deployment(self) -> dict[str, Any]:
        return self.config["applications"][0]["deployments"][0]

    def nodes(self) -> list[dict[str, Any]]:
        return httpx.get(f"{self.url}/v1/nodes", timeout=30).raise_for_status().json()["nodes"]

    def until(self, condition) -> list[dict[str, Any]]:
        """The nodes, once `condition(nodes)` holds."""
        end, nodes = time.monotonic() + PATIENCE, []
        while time.monotonic() < end:
            try:
                nodes = self.nodes()
                if condition(nodes):
                    return nodes
            except httpx.HTTPError:
                pass
            time.sleep(0.5)
        pytest.fail(f"in {PATIENCE} s it did not come to this: {nodes}")

    def rung(self, budget: str) -> str:
        return f"#{choose(self.ladder.manifest, parse_bytes(budget)).index}"

    def ask(self, number: int = 0, **parameters: Any) -> Any:
        with Client(self.url, timeout=60) as client:
            return client.predict(TASKS[number % 3], ["w1 w2 w3"], **parameters)


@pytest.fixture(scope="module")
def running(ladder: Ladder) -> Iterator[Running]:
    import ray
    from ray import serve
    from ray.cluster_utils import Cluster
    from ray.serve.context import _get_global_client

    sizes = sorted(rung.bytes for rung in ladder.manifest.rungs)
    budgets = {f"g{n}": str(sizes[len(sizes) * n // 4]) for n in range(4)}
    before, here = os.environ.copy(), Path.cwd()
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "HF_HUB_OFFLINE": "1", "RAY_raylet_start_wait_time_s": "120"}
    os.chdir(Path(__file__).parents[2])  # the workers' first import path
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for group in budgets:
            cluster.add_node(num_cpus=1, labels={"mergeladder.io/group": group})
        ray.init(address=cluster.address, log_to_driver=False)
        serve.start(proxy_location="Disabled")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        groups = {group: {"budget": budget} for group, budget in budgets.items()}
        config = UserConfig.model_validate({"groups": groups})
        document = serve_config(AppArgs(ladder=ladder.root, port=port, device="cpu"), config, gpus=0)
        document["applications"][0]["deployments"][0]["num_replicas"] = 4
        made = Running(cluster, _get_global_client(), ladder, f"http://127.0.0.1:{port}", document, budgets)
        made.deploy()
        yield made
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()
        os.chdir(here)
        os.environ.clear()
        os.environ |= before


def test_each_node_takes_the_largest_rung_its_own_budget_holds(running):
    nodes = running.until(lambda nodes: len(nodes) == 4 and all(node["ready"] for node in nodes))
    assert {node["group"]: node["rung"] for node in nodes} == {
        group: running.rung(budget) for group, budget in running.budgets.items()
    }
    assert len({node["node"] for node in nodes}) == 4
    assert running.ask().model.rung in {node["rung"] for node in nodes}


def test_a_request_with_a_floor_goes_to_a_node_that_has_it(running):
    largest = running.rung(running.budgets["g3"])
    assert {running.ask(number, min_rung=largest).model.rung for number in range(12)} == {largest}


def test_a_group_changes_by_itself(running):
    answer = httpx.post(f"{running.url}/admin/v1/budget", json={"budget": running.budgets["g0"], "node": "g3"})
    assert answer.status_code == 202
    smallest = running.rung(running.budgets["g0"])
    assert answer.json()["to"] == smallest
    nodes = running.until(lambda nodes: {n["rung"] for n in nodes if n["group"] == "g3"} == {smallest})
    others = {node["group"]: node["rung"] for node in nodes if node["group"] != "g3"}
    assert others == {group: running.rung(running.budgets[group]) for group in ("g0", "g1", "g2")}


def test_a_deploy_that_changes_user_config_alone_changes_rungs_and_no_process(running):
    before = {node["id"] for node in running.nodes()}
    for group in running.budgets:
        running.budgets[group] = running.budgets["g3"]
    running.deployment["user_config"]["groups"] = {g: {"budget": b} for g, b in running.budgets.items()}
    running.deploy()
    largest = running.rung(running.budgets["g3"])
    nodes = running.until(lambda nodes: len(nodes) == 4 and {node["rung"] for node in nodes} == {largest})
    assert {node["id"] for node in nodes} == before


def test_a_node_whose_budget_holds_nothing_is_out_and_the_others_serve(running):
    running.deployment["user_config"]["groups"]["g1"] = {"budget": "1KiB"}
    running.deploy()
    nodes = running.until(lambda nodes: [node["ready"] for node in nodes].count(False) == 1)
    (out,) = (node for node in nodes if not node["ready"])
    assert (out["group"], out["rung"]) == ("g1", None)
    assert "the least that would do" in out["reason"]
    assert {httpx.get(f"{node['address']}/-/healthz").status_code for node in nodes if node["ready"]} == {200}
    assert httpx.get(f"{out['address']}/-/healthz").status_code == 503  # a load balancer leaves it alone
    with Client(out["address"], timeout=60, retries=0) as client:  # who asks it all the same is answered by another
        assert client.predict("mood", ["w1"]).predictions


def test_a_misspelt_deploy_is_told_and_stops_nobody(running):
    good = running.deployment["user_config"]
    before = running.until(lambda nodes: len(nodes) == 4)
    for wrong, told in (({"budgets": "1GiB"}, "budgets"), ({"budget": "much", "groups": {}}, "much")):
        running.deployment["user_config"] = good | wrong
        running.deploy()
        nodes = running.until(lambda nodes, told=told: [told in node["reason"] for node in nodes] == [True] * 4)
        assert [(node["id"], node["rung"]) for node in nodes] == [(node["id"], node["rung"]) for node in before]
    running.deployment["user_config"] = good
    running.deploy()
    running.until(lambda nodes: not any("not followed" in node["reason"] for node in nodes))


def test_nodes_that_are_all_out_say_so_and_come_in_without_a_new_process(running):
    before = {node["id"] for node in running.until(lambda nodes: len(nodes) == 4)}
    running.deployment["user_config"]["groups"] = {group: {"budget": "1KiB"} for group in running.budgets}
    running.deploy()
    nodes = running.until(lambda nodes: len(nodes) == 4 and not any(node["ready"] for node in nodes))
    refused = httpx.post(f"{running.url}/v1/tasks/mood/predict", json={"inputs": ["w1"]})
    assert refused.status_code == 503
    assert "the least that would do" in refused.json()["error"]["message"]
    body = {"budget": running.budgets["g0"]}
    assert httpx.post(f"{running.url}/admin/v1/budget", json=body).status_code == 202
    nodes = running.until(lambda nodes: len(nodes) == 4 and all(node["ready"] for node in nodes))
    assert {node["budget_source"] for node in nodes} == {"admin"}
    assert running.ask().model.rung == running.rung(running.budgets["g0"])
    running.deployment["user_config"]["groups"] = {g: {"budget": b} for g, b in running.budgets.items()}
    running.deploy()
    wanted = {("config", running.rung(running.budgets["g1"]))}
    nodes = running.until(
        lambda nodes: len(nodes) == 4 and {(node["budget_source"], node["rung"]) for node in nodes} == wanted
    )
    assert {node["id"] for node in nodes} == before


def test_a_fifth_node_joins_and_takes_load(running):
    running.cluster.add_node(num_cpus=1, labels={"mergeladder.io/group": "g4"})
    running.deployment["num_replicas"] = 5
    running.deployment["user_config"]["rung"] = "1"  # what holds on nodes of groups that have nothing of their own
    running.deploy()
    nodes = running.until(lambda nodes: len(nodes) == 5 and all(node["ready"] for node in nodes))
    last = f"#{len(running.ladder.manifest.rungs) - 1}"
    assert {node["rung"] for node in nodes if node["group"] == "g4"} == {last}
    answered = Counter(running.ask(number).model.rung for number in range(60))
    assert answered[last] > 0


class Load:
    """Four clients that ask until the block ends; `failed` holds what did not become an answer."""

    def __init__(self, url: str, texts: tuple[str, ...] = ("w1 w2", "w3"), retries: int = 0) -> None:
        self.url, self.texts, self.retries, self.over = url, texts, retries, threading.Event()
        self.failed: list[Exception] = []
        self.answered: Counter[str] = Counter()
        self.threads = [threading.Thread(target=self.ask, args=(number,)) for number in range(4)]

    def ask(self, number: int) -> None:
        with Client(self.url, timeout=120, retries=self.retries) as client:
            while not self.over.is_set():
                try:
                    answer = client.predict(TASKS[number % 3], self.texts)
                    self.answered[answer.model.revision] += len(answer.predictions) == len(self.texts)
                except Exception as error:
                    self.failed.append(error)

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_a_killed_replica_loses_nobody_who_asks_again(running):
    title = f"ServeReplica:{running.config['applications'][0]['name']}:"  # not those of other servers on this machine
    replicas = [p for p in psutil.process_iter(["cmdline"]) if title in " ".join(p.info["cmdline"] or [])]
    assert len(replicas) == 5
    before = {node["id"] for node in running.nodes()}
    with Load(running.url, retries=40) as load:
        time.sleep(1)
        replicas[0].send_signal(signal.SIGKILL)
        nodes = running.until(
            lambda nodes: len(nodes) == 5 and all(n["ready"] for n in nodes) and {n["id"] for n in nodes} != before
        )
    assert not load.failed
    assert load.answered.total() > 20
    assert len({node["id"] for node in nodes} & before) == 4


def test_another_ladder_takes_over_without_an_error_for_clients_that_ask_once(running, recipe_file):
    recipe = recipe_file.with_name("other.yaml")
    recipe.write_text(recipe_file.read_text().replace("scale: 0.4", "scale: 0.8"))
    other = build(load_recipe(recipe), recipe_file.parent / "served-2", threads=1)
    running.config["applications"][0]["args"]["ladder"] = str(other.root)
    revisions = {running.ladder.manifest.revision, other.manifest.revision}
    with Load(running.url) as load:
        running.deploy()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and load.answered[other.manifest.revision] < 20:
            time.sleep(0.5)
    assert not load.failed
    assert set(load.answered) == revisions


def test_replicas_come_and_go_with_the_work_that_waits(running):
    running.deployment.pop("num_replicas")
    running.deployment["autoscaling_config"] = {
        "min_replicas": 1,
        "max_replicas": 3,
        "look_back_period_s": 2,
        "upscale_delay_s": 1,
        "downscale_delay_s": 1,
        "policy": {"policy_function": "deploy.autoscale:by_backlog"},
    }
    running.deploy()
    running.until(lambda nodes: len(nodes) == 1)
    with Load(running.url, texts=tuple(f"w{n % 90} " * 40 for n in range(400)), retries=40) as load:
        running.until(lambda nodes: len(nodes) > 1)
    assert not load.failed
    running.until(lambda nodes: len(nodes) == 1)
