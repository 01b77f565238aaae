"""How many replicas there should be, by the work that waits: a Serve autoscaling policy.

    autoscaling_config:
      min_replicas: 1
      max_replicas: 8
      policy: {policy_function: "deploy.autoscale:by_backlog"}

Ray Serve itself counts requests; here what counts is work, as replicas of unequal nodes do unequal amounts of it: the
share of the time that a replica computes, and the seconds that its queued tokens need at the speed it has had. Ray
Serve's delays and bounds (`upscale_delay_s`, `max_replicas`, ...) hold for what this policy wants.
"""

import math
from collections.abc import Mapping
from typing import Any

from ray.serve.config import AutoscalingContext

# The share of the time a replica should compute, which leaves room for what comes unevenly; and the wait, in seconds,
# that counts as much as a replica that never rests.
TARGET_BUSY = 0.7
TARGET_BACKLOG_SECONDS = 1.0
LOAD = "mergeladder_load"


def load_of(busy: float, backlog_s: float) -> float:
    """A replica's load: 1 is what one should bear; `busy` is its share of the last interval, at most 1."""
    return busy / TARGET_BUSY + backlog_s / TARGET_BACKLOG_SECONDS


def by_backlog(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """The replicas among which the load of all is one each; as many as now while nothing is known."""
    loads: Mapping[Any, float] = (context.aggregated_metrics or {}).get(LOAD, {})
    wanted = math.ceil(sum(loads.values()) - 1e-6) if loads else context.current_num_replicas
    return max(wanted, 1), {}
