"""Before a pod stops: tell Ray that its node goes, and wait until its replicas have ended.

    python -m deploy.drain 45

Ray Serve then starts the replicas elsewhere, where there is room, and ends those here gently. Kubernetes alone would
end them in the middle of a request.
"""

import argparse
import os
import time
from collections.abc import Iterable
from pathlib import Path

import ray
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.core.generated.autoscaler_pb2 import DRAIN_NODE_REASON_PREEMPTION
from ray.core.generated.gcs_pb2 import GcsNodeInfo

PORT = 8000
SOCKETS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
OPEN = {"01", "0A"}  # established, listening


def main() -> None:
    """The command of a pod's preStop hook: an error only costs gentleness, so it is printed and the pod goes on."""
    parser = argparse.ArgumentParser(description="Tell Ray that this node goes, and wait until its replicas ended.")
    parser.add_argument("seconds", type=int, help="how long they may take")
    parser.add_argument("--node", help="the node's id in Ray, where an address has several")
    parser.add_argument("--port", type=int, default=PORT, help="where the replicas listen")
    arguments = parser.parse_args()
    until = time.monotonic() + arguments.seconds
    address = os.environ["RAY_ADDRESS"]  # KubeRay sets it in every pod
    announce(address, arguments.node or own_node(address), arguments.seconds)
    while is_open(arguments.port) and time.monotonic() < until:
        time.sleep(0.5)


def own_node(address: str) -> str:
    """The id of the node at this machine's address, in the cluster at `address`.

    Raises:
        RuntimeError: there is none, or more than one.
    """
    ip = ray.util.get_node_ip_address()
    nodes = GcsClient(address=address).get_all_node_info()
    own = [
        id.hex() for id, node in nodes.items() if node.node_manager_address == ip and node.state == GcsNodeInfo.ALIVE
    ]
    if len(own) != 1:
        raise RuntimeError(f"{len(own)} of the cluster's nodes are at {ip}: say which one with --node")
    return str(own[0])


def announce(address: str, node: str, seconds: int) -> None:
    """Tell the cluster at `address` that `node` goes within `seconds`: what `ray drain-node` does.

    Raises:
        RuntimeError: Ray refused.
    """
    deadline = int((time.time() + seconds) * 1000)
    accepted, why = GcsClient(address=address).drain_node(
        node, DRAIN_NODE_REASON_PREEMPTION, "the pod was told to stop", deadline
    )
    if not accepted:
        raise RuntimeError(f"Ray does not let node {node} go: {why}")


def is_open(port: int, tables: Iterable[Path] = SOCKETS) -> bool:
    """Whether anything here listens on TCP `port` or holds a connection to it. `tables` are in /proc/net/tcp's form."""
    lines = (line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:])
    return any(int(line[1].rpartition(":")[2], 16) == port and line[3] in OPEN for line in lines)


if __name__ == "__main__":
    main()
