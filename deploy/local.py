"""A server on this machine: Ray and Ray Serve inside one command, started, announced, drained and stopped.

    with running_server(Path("ladder"), Sizing(rung="2.0"), host="127.0.0.1", port=8000) as server:
        httpx.get(f"{server.url}/v1/ladder")

Whatever is wrong with the input is found before Ray starts.
"""

import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.access import OPEN, Access
from deploy.addresses import check_address, reachable
from deploy.app_args import AppArgs
from deploy.console import console, say
from deploy.local_args import local_args
from deploy.sizing import Sizing
from deploy.stop_signal import on_stop_signal
from merge_builder.errors import MergeLadderError
from serving.engine.types import Dtype
from serving.fleet import NodeStatus

APPLICATION = "mergeladder"
# Set before Ray is imported: no reports to its makers, no hub, patience on a machine that is busy, and a controller
# that looks after its one replica once a second: its default, ten times, takes a seventh of a core.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_OFFLINE": "1",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "1",
}


@dataclass(frozen=True)
class Server:
    """A server that answers at `url`, and why it is on its rung."""

    url: str
    reason: str


def serve_until_stopped(
    ladder: Path, sizing: Sizing, *, host: str, port: int, access: Access = OPEN, dtype: Dtype = "float32"
) -> None:
    """Serve until SIGINT or SIGTERM; then answer what is under way and return.

    Raises:
        InputError: the ladder, the sizing, the address or a key file is wrong; nothing was started.
        MergeLadderError: the server did not start.
    """
    stopped = threading.Event()
    running = running_server(ladder, sizing, host=host, port=port, access=access, dtype=dtype)
    with running as server, on_stop_signal(stopped):
        say(f"[bold green]ready[/] at {server.url}: {server.reason}")
        say(f"open {server.url} to try it; Ctrl-C stops")
        stopped.wait()
        say("stopping: requests that are under way are answered first")


def local_config(
    ladder: Path, sizing: Sizing, *, host: str, port: int, access: Access = OPEN, dtype: Dtype = "float32"
) -> str:
    """The Serve configuration, as YAML, of what `serve_until_stopped` would start.

    Raises:
        InputError: the ladder, the sizing or a key file is wrong.
    """
    import yaml

    args = local_args(ladder, sizing, host=host, port=port, access=access, dtype=dtype)
    from deploy.serve_config import serve_config
    from deploy.user_config import UserConfig

    config = UserConfig(budget=sizing.budget, rung=sizing.rung)
    return yaml.safe_dump(serve_config(args, config, gpus=1 if args.device == "cuda" else 0), sort_keys=False)


@contextmanager
def running_server(
    ladder: Path, sizing: Sizing, *, host: str, port: int, access: Access = OPEN, dtype: Dtype = "float32"
) -> Iterator[Server]:
    """A server for the length of a block, which drains at its end. Errors as in `serve_until_stopped`."""
    args = local_args(ladder, sizing, host=host, port=port, access=access, dtype=dtype)
    check_address(host, port)
    os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
    import ray
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        with console.status("starting Ray Serve (about 15 s) and loading the ladder"):
            reason = _start(args, sizing)
        yield Server(f"http://{reachable(host)}:{port}", reason)
        serve.delete(APPLICATION)  # returns once its replica has answered what was under way
    finally:
        ray.shutdown()


def _start(args: AppArgs, sizing: Sizing) -> str:
    import ray
    from ray import serve

    from deploy.app import LOGGING, application

    # Ray puts the working directory first on its workers' import path: a user's may hold a `deploy` of its own.
    with chdir(Path(__file__).parents[1]):
        try:
            session = ray.init("local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray's own are of that type, as where its processes take more than half a minute
            remedy = "try again when this machine is less busy, or look at its disk"
            raise MergeLadderError(f"Ray did not start: {str(error).rstrip('.')} ({remedy})") from error
    logs = Path(session.address_info["session_dir"]) / "logs" / "serve"
    serve.start(proxy_location="Disabled", logging_config=LOGGING)
    # Ray gives a replica's math libraries as many threads as it has processors.
    actor = {"num_cpus": ray.cluster_resources()["CPU"], "num_gpus": 1 if args.device == "cuda" else 0}
    app = application(args, user_config=sizing.model_dump(), ray_actor_options=actor)
    try:
        replica = serve.run(app, name=APPLICATION, route_prefix=None)
    except RuntimeError as error:
        raise MergeLadderError(f"the server did not start: {_cause()} (its logs are in {logs})") from error
    status: NodeStatus = replica.status.remote().result(timeout_s=30)
    if not status.ready:
        raise MergeLadderError(f"the server did not start: {status.reason}")
    return status.reason


def _cause() -> str:
    """The last line of the traceback that Ray Serve keeps of a replica that failed, without the error's type."""
    from ray import serve

    deployments = serve.status().applications[APPLICATION].deployments.values()
    last = "".join(deployment.message for deployment in deployments).strip().rpartition("\n")[2]
    return re.sub(r"^[\w.]+: ", "", last)
