"""The Ray Serve application: one deployment whose replica is the HTTP server and the engine at once.

    serve.run(application(AppArgs(ladder="/ladders/demo"), user_config={"budget": "300MiB"}), route_prefix=None)

In a Serve configuration: `import_path: deploy.app:build`, `args` as `AppArgs`, `user_config` as
`deploy.user_config.UserConfig`. Each replica opens the ladder, sizes itself and answers on the node's port
(`deploy.http_server` tells why Ray Serve's own proxy has no part in it). Ray Serve places the replicas, watches their
health, starts them again and stops them gently. A deploy that changes nothing but `user_config` changes the rung of
running replicas in place.
"""

from typing import Any

from ray import serve

from deploy.access import Access, is_unguarded
from deploy.app_args import AppArgs
from deploy.listening import DRAIN_SECONDS
from deploy.replica import LadderServer
from merge_builder.errors import InputError

DEPLOYMENT = "ladder"
HEALTH_SECONDS = 2.0  # between two looks at a replica: one that was killed is started again soon after
LOGGING = {"enable_access_log": False}


def build(args: AppArgs) -> serve.Application:
    """The application for a Serve configuration, whose `deployments` say how many replicas there are and where.

    Raises:
        InputError: other machines can reach its host, and it has neither `keys` nor says `insecure`.
    """
    if is_unguarded(Access(args.keys, args.admin_keys, args.insecure), args.host):
        raise InputError(
            f"anyone who can reach {args.host} could ask this server: name a file of `keys`, or set `insecure`"
        )
    return application(args)


def application(args: AppArgs, **options: Any) -> serve.Application:
    """The application with `options` of its deployment, as Ray Serve names them."""
    deployment = serve.deployment(
        LadderServer,
        name=DEPLOYMENT,
        max_constructor_retry_count=3,
        graceful_shutdown_timeout_s=DRAIN_SECONDS,
        graceful_shutdown_wait_loop_s=0.2,
        health_check_period_s=HEALTH_SECONDS,
        logging_config=LOGGING,
    )
    return deployment.options(**options).bind(args)
