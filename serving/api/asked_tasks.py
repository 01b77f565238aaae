"""The tasks that a request to `/v1/predict` asks: by name, all, or those that the ladder's router is to choose."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from serving.api.errors import InvalidRequest, NoRouter
from serving.api.schemas.requests import TasksRequest
from serving.result import Result
from serving.service import Service


async def noting(tasks: dict[str, None], results: AsyncGenerator[Result, None]) -> AsyncGenerator[Result, None]:
    """`results`, whose tasks are added to `tasks` as they are known: the router may choose them."""
    async with aclosing(results):
        async for result in results:
            tasks.update(dict.fromkeys(result.places))
            yield result


def asked_tasks(service: Service, body: TasksRequest) -> list[tuple[str, ...] | None]:
    """The tasks of each input: its own, else those of the request; None where the router is to choose."""
    shared = None if body.tasks is None else _named(service, body.tasks, "tasks")
    tasks = []
    for place, item in enumerate(body.inputs):
        if item.tasks is None and body.tasks is None:
            raise InvalidRequest(f"tasks: name them, here or in every input: inputs[{place}] has none", "tasks")
        tasks.append(shared if item.tasks is None else _named(service, item.tasks, f"inputs[{place}].tasks"))
    return tasks


def _named(service: Service, asked: list[str] | str, param: str) -> tuple[str, ...] | None:
    if asked == "all":
        return tuple(service.tasks)
    if asked == "auto":
        if not service.has_router:
            raise NoRouter('this ladder has no router to choose the tasks by: name them, or send "all"', param)
        return None
    for place, name in enumerate(asked):
        service.check_task(name, f"{param}[{place}]")
    return tuple(dict.fromkeys(asked))
