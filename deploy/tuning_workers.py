"""Workers of a search as Ray actors, on this machine or on the nodes of a cluster.

with ray_workers(4, "ray://head:10001") as workers:
    tune(recipe, data, out, settings, engine_bench, spread=workers)
"""

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from merge_builder.errors import InputError, MergeLadderError
from merge_builder.tuning.jobs import Answer, Job, Setup

TRIES = 3  # of one evaluation, where workers are lost


@dataclass(frozen=True)
class Place:
    """Where a worker is."""

    node: str
    process: int


@dataclass
class Workers:
    """`count` actors of one processor each, with an engine each; made anew when they are called with what they are for.

    `on_worker` is told where each one is, those that take a lost one's place too.
    """

    count: int
    on_worker: Callable[[Place], None]
    _setup: Any = None
    _actors: list[Any] = field(default_factory=list)

    def __call__(self, setup: Setup) -> Callable[[Sequence[Job]], Iterator[Answer]]:
        self.stop()
        self._setup = ray.put(setup)
        self._actors = [self._begin() for _ in range(self.count)]  # all at once: each loads torch and opens the ladder
        for actor in self._actors:
            self._await(actor)
        return self.spread

    def spread(self, jobs: Sequence[Job]) -> Iterator[Answer]:
        """The answers in the order of `jobs`, each given to the first worker that is free; that of a lost worker is
        given to another.

        Raises:
            InputError: a worker does not find the search's inputs.
            MergeLadderError: workers were lost over one evaluation, `TRIES` times.
        """
        waiting, idle, running = deque(range(len(jobs))), deque(self._actors), dict[Any, tuple[int, Any]]()
        done, lost, following = dict[int, Answer](), dict[int, int](), 0
        while following < len(jobs):
            while waiting and idle:
                number, actor = waiting.popleft(), idle.popleft()
                running[actor.work.remote(jobs[number])] = number, actor
            (ready,), _ = ray.wait(list(running), num_returns=1)
            number, actor = running.pop(ready)
            try:
                done[number] = ray.get(ready)
            except RayActorError as error:
                lost[number] = lost.get(number, 0) + 1
                if lost[number] == TRIES:
                    raise MergeLadderError(f"{TRIES} workers were lost over one evaluation: {error}") from error
                waiting.appendleft(number)
                actor = self._replace(actor)
            except RayTaskError as error:
                raise _cause(error) from error
            idle.append(actor)
            while following in done:
                yield done.pop(following)
                following += 1

    def stop(self) -> None:
        """End the workers."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []

    def _begin(self) -> Any:
        return ray.remote(num_cpus=1)(_Worker).remote(self._setup)

    def _await(self, actor: Any) -> None:
        try:
            self.on_worker(ray.get(actor.place.remote()))
        except RayActorError as error:
            raise MergeLadderError(
                f"a worker did not start: {error}. The recipe's models, the rows and OUT have to lie at the same paths "
                "on every node"
            ) from error

    def _replace(self, lost: Any) -> Any:
        actor = self._begin()
        self._await(actor)
        self._actors[self._actors.index(lost)] = actor
        return actor


@contextmanager
def ray_workers(
    count: int, address: str | None, on_worker: Callable[[Place], None] = lambda _: None
) -> Iterator[Workers]:
    """Workers on the Ray cluster at `address`, or with a Ray of their own on this machine; ended with the `with`.

    Raises:
        InputError: no Ray cluster answers at the address.
        MergeLadderError: Ray does not start on this machine.
    """
    # Ray puts the working directory first on its workers' import path: a user's may hold a `deploy` of its own.
    with chdir(Path(__file__).parents[1]):
        try:
            if address is None:
                own = {"num_cpus": count, "include_dashboard": False}
                ray.init(address="local", log_to_driver=False, logging_level=logging.ERROR, **own)
            else:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            hint = "where it takes a token, set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN if ~/.ray/auth_token is not it"
            raise InputError(f"no Ray cluster answers at {address}: {error} ({hint})") from error
        except Exception as error:  # Ray has no type for a node that does not start in time
            raise MergeLadderError(f"Ray did not start: {error}") from error
    workers = Workers(count, on_worker)
    try:
        yield workers
    finally:
        workers.stop()
        ray.shutdown()


class _Worker:
    """The actor. It imports torch, which the search's own process need not have loaded before Ray starts."""

    def __init__(self, setup: Setup) -> None:
        import torch

        from deploy.bench import engine_bench
        from merge_builder.tuning.worker import open_worker

        torch.set_num_threads(1)  # sums come out the same whatever the machine
        self._open = open_worker(setup, engine_bench)
        self._work = self._open.__enter__()

    def work(self, job: Job) -> Answer:
        return self._work(job)

    def place(self) -> Place:
        return Place(socket.gethostname(), os.getpid())


def _cause(error: RayTaskError) -> Exception:
    """What went wrong in a worker: the user's to mend, if it says so."""
    cause = error.cause
    return InputError(str(cause)) if isinstance(cause, InputError) else MergeLadderError(f"a worker failed: {cause}")
