"""The Ray Serve configuration that the chart renders, handed to a real Ray as KubeRay's operator does it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
import yaml
from ray.cluster_utils import Cluster

from merge_builder.ladder import Ladder

from ..helm.charts import one_object, render, skip_without

pytestmark = [pytest.mark.e2e, skip_without("helm-4")]

DEPLOYED_AT_MOST = 240  # seconds: on a busy machine Ray takes minutes
DRAIN = 34  # seconds: Ray Serve ends a replica 30 before a node goes, if it finds no other place for it
GROUP = {"name": "cpu", "cpu": 1, "memory": "1Gi", "budget": "1GiB"}
GPUS = {"name": "gpu", "cpu": 1, "memory": "1Gi", "gpus": 1, "replicas": 0}  # so that a CPU node has a slot for a GPU
VALUES = {"ladder": {"claim": {"name": "ladders"}}, "auth": {"insecure": True}, "groups": [GROUP, GPUS]}


@dataclass(frozen=True)
class Deployed:
    """A cluster of a head, which takes no replica, and one worker, at whose `port` the replica answers."""

    address: str
    worker: str
    port: int

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)


@pytest.fixture(scope="module")
def deployed(ladder: Ladder) -> Iterator[Deployed]:
    """The rendered cluster and configuration; only the ladder's folder and the port are this machine's own."""
    port, dashboard = _free_port(), _free_port()
    spec = one_object(render("helm-4", VALUES), "RayService")["spec"]
    config = yaml.safe_load(spec["serveConfigV2"])
    config["applications"][0]["args"] |= {"ladder": str(ladder.root), "host": "127.0.0.1", "port": port}
    head, group = spec["rayClusterConfig"]["headGroupSpec"], spec["rayClusterConfig"]["workerGroupSpecs"][0]
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": int(head["rayStartParams"]["num-cpus"]),
            "include_dashboard": True,
            "dashboard_port": dashboard,
        },
    )
    try:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        slots = int(group["resources"]["GPU"])
        worker = cluster.add_node(num_cpus=limits["cpu"], num_gpus=slots, labels=group["labels"])
        _deploy(f"http://{cluster.head_node.webui_url}/api/serve/applications/", config)
        yield Deployed(cluster.address, worker.node_id, port)
    finally:
        cluster.shutdown()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _deploy(url: str, config: dict[str, Any]) -> None:
    httpx.put(url, json=config, timeout=60).raise_for_status()
    until = time.monotonic() + DEPLOYED_AT_MOST
    while True:
        application = httpx.get(url, timeout=60).raise_for_status().json()["applications"].get("mergeladder", {})
        if application.get("status") == "RUNNING":
            return
        assert application.get("status") != "DEPLOY_FAILED", application["message"]
        assert time.monotonic() < until, application
        time.sleep(0.5)


def test_a_replica_of_the_group_answers_the_probe_and_a_request(deployed: Deployed) -> None:
    with deployed.client() as client:
        assert "success" in client.get("/-/healthz").raise_for_status().text  # what KubeRay's probe greps for
        assert client.get("/v2/health/ready").raise_for_status()
        answer = client.post("/v1/tasks/mood/predict", json={"inputs": ["w1 w2"]}).raise_for_status().json()
        nodes = client.get("/v1/nodes").raise_for_status().json()["nodes"]

    assert {score["label"] for score in answer["predictions"][0]} == {"bad", "good"}
    assert [(node["group"], node["device"], node["budget"]) for node in nodes] == [("cpu", "cpu", 2**30)]


def test_a_pod_that_is_told_to_go_answers_all_that_it_accepted(deployed: Deployed) -> None:
    """Runs last: it takes the worker."""
    gone, answers, health = Event(), [], []

    def look_until_gone() -> None:
        while not gone.is_set():
            try:
                with deployed.client() as client:  # a connection of its own each time, as a probe's
                    health.append(client.get("/-/healthz").status_code)
            except httpx.ConnectError:
                return
            time.sleep(0.1)

    def ask_until_gone() -> None:
        with deployed.client() as client:
            while not gone.is_set():
                try:
                    response = client.post("/v1/tasks/topic/predict", json={"inputs": ["w5 w6 w7"] * 8})
                except httpx.ConnectError:
                    return
                answers.append(response.status_code)

    with ThreadPoolExecutor(5) as pool:
        asking = [pool.submit(look_until_gone), *(pool.submit(ask_until_gone) for _ in range(4))]
        time.sleep(1)
        before = len(answers)
        command = [sys.executable, "-m", "deploy.drain", str(DRAIN)]
        where = ["--node", deployed.worker, "--port", str(deployed.port)]
        environment = os.environ | {"RAY_ADDRESS": deployed.address}
        began = time.monotonic()
        subprocess.run([*command, *where], env=environment, cwd=Path(__file__).parents[2], check=True, timeout=120)
        took = time.monotonic() - began
        gone.set()
        for each in asking:
            each.result()

    assert before > 0
    assert len(answers) > before  # it went on to answer
    assert set(answers) == {200}
    assert list(dict.fromkeys(health)) == [200, 503]  # who watches it was told before it stopped listening
    assert health.count(503) > 10
    assert took < DRAIN  # it did not wait for its time to be over
    with deployed.client() as client, pytest.raises(httpx.ConnectError):
        client.get("/-/healthz")
