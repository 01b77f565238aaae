"""The tasks of every input of a request, whether it names them or leaves them to the ladder's router."""

from collections.abc import Sequence

from serving.inputs import Input
from serving.metrics import Metrics
from serving.reader import Reader
from serving.routing import Route


async def route_inputs(
    reader: Reader,
    metrics: Metrics,
    inputs: Sequence[Input],
    tasks: Sequence[Sequence[str] | None],
    *,
    first: int = 0,
    at_once: bool = False,
) -> tuple[list[Sequence[str]], dict[int, Route]]:
    """The tasks of each input, chosen by the router where they are None, and what it chose, by place: `inputs` are
    those of the request from the place `first` on. `at_once` is as in `Reader.read`.

    Raises:
        RequestError: an input whose tasks are to be chosen cannot be read.
    """
    unnamed = [place for place, own in enumerate(tasks, first) if own is None]
    routes = await reader.choose(inputs, unnamed, first=first, at_once=at_once) if unnamed else {}
    for route in routes.values():
        metrics.routed.labels(route.tasks[0]).inc()
        metrics.router_confidence.observe(route.confidences[route.tasks[0]])
    return [routes[place].tasks if own is None else own for place, own in enumerate(tasks, first)], routes
