"""A ladder's Serve configuration, as `serve deploy` and KubeRay's `serveConfigV2` take it.

yaml.safe_dump(serve_config(AppArgs(ladder="/ladders/demo"), UserConfig(budget="300MiB"), gpus=0))
"""

from typing import Any

from deploy.app import DEPLOYMENT
from deploy.app_args import AppArgs
from deploy.user_config import UserConfig


def serve_config(args: AppArgs, config: UserConfig, *, gpus: int) -> dict[str, Any]:
    """One replica on one node, that has one processor and `gpus` GPUs; edit it for more.

    Ray Serve runs no proxy: every replica answers on its node's `args.port`. Several ladders are several
    applications, each with a port of its own.
    """
    deployment = {
        "name": DEPLOYMENT,
        "num_replicas": 1,
        "max_replicas_per_node": 1,
        "ray_actor_options": {"num_cpus": 1, "num_gpus": gpus},
        "user_config": config.model_dump(),
    }
    application = {
        "name": args.ladder.name,
        "route_prefix": None,
        "import_path": "deploy.app:build",
        "args": args.model_dump(mode="json", exclude_none=True),
        "deployments": [deployment],
    }
    return {"proxy_location": "Disabled", "applications": [application]}
