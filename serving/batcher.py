"""Token-budget batching: requests that arrive while the engine is busy share its next batch.

    batcher = Batcher(engine.run, max_batch_tokens=4096, max_queued_tokens=65536, metrics=metrics)
    answer = await batcher.submit(encoded)

One batch is in flight at a time, in one worker thread, so batches form exactly while the engine is busy: there is no
waiting time to tune, and a lone request never waits for company. Tasks take turns, counted in tokens; within a task the
order is first in, first out. An input asked for several tasks waits in the line of the first.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from merge_builder.ladder import Rung
from serving.engine.types import BatchOutput, Encoded, Logits
from serving.errors import Draining, Overloaded
from serving.fair_queue import FairQueue
from serving.metrics import Metrics

_SHORTEST_RETRY_S, _LONGEST_RETRY_S = 1, 24  # before the jitter, which adds up to a quarter
_PAST = 0.8  # weight of the past in the recent speed: about the last five batches count


@dataclass(frozen=True)
class Answer:
    """The logits of one input, a float32 array of shape (labels,) for each task asked, and how they came about.

    `queue_s` is the wait for the batch and `inference_s` the batch's time in the engine, in seconds.
    """

    logits: dict[str, Logits]
    rung: Rung
    queue_s: float
    inference_s: float


@dataclass(frozen=True)
class _Job:
    encoded: Encoded
    future: asyncio.Future[Answer]
    submitted: float

    @property
    def cost(self) -> int:
        return batch_cost(self.encoded)


def batch_cost(encoded: Encoded) -> int:
    """The tokens an input may occupy in the engine: its length, once for each task, as where they share no block."""
    return len(encoded.input_ids) * len(encoded.tasks)


class Batcher:
    """Feeds `run` with batches of at most `max_batch_tokens` (an input that is larger by itself runs alone).

    All methods belong to one event loop; `run` is called in a thread of the batcher's own, never twice at a time.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Encoded]], BatchOutput],
        *,
        max_batch_tokens: int,
        max_queued_tokens: int,
        metrics: Metrics,
    ) -> None:
        self._max_queued_tokens = max_queued_tokens
        self._run = run
        self._max_batch_tokens = max_batch_tokens
        self._metrics = metrics
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._queue: FairQueue[_Job] = FairQueue()
        self._recent_tokens = self._recent_seconds = 0.0
        self.busy_s = 0.0  # that the engine has computed since the start
        self._loop: asyncio.Task[None] | None = None
        self._closed = False

    def submit(self, encoded: Encoded) -> asyncio.Future[Answer]:
        """Queue one input; await the result for its answer, cancel it to give the input up.

        A full queue makes room for a task at the cost of the one that fills most of it: that one's last inputs fail
        with Overloaded when awaited.

        Raises:
            Overloaded: more than `max_queued_tokens` would wait, and no other task holds more of them.
            Draining: the batcher is closed.
            Exception: whatever `run` raised for the input's batch (when awaited).
        """
        if self._closed:
            raise Draining()
        job = _Job(encoded, asyncio.get_running_loop().create_future(), time.perf_counter())
        self._make_room(job)
        self._queue.push(job.encoded.tasks[0], job, job.cost)
        self._metrics.queue_depth.inc()
        if self._loop is None:
            self._loop = asyncio.create_task(self._work_off())
        return job.future

    async def aclose(self) -> None:
        """Take no more work, answer what is queued, and stop the thread."""
        self._closed = True
        if self._loop is not None:
            await self._loop
        self._worker.shutdown()

    @property
    def backlog_s(self) -> float:
        """The seconds that what waits needs at the recent speed; 0 before any batch was timed."""
        speed = self._recent_seconds / self._recent_tokens if self._recent_tokens else 0.0
        return self._queue.cost * speed

    async def _work_off(self) -> None:
        try:
            while jobs := self._next_batch():
                await self._answer(jobs)
        finally:
            self._loop = None

    def _make_room(self, job: _Job) -> None:
        while len(self._queue) and self._queue.cost + job.cost > self._max_queued_tokens:
            refused = Overloaded(self._retry_after_s())
            last = self._queue.pop_longest(job.encoded.tasks[0], job.cost)
            if last is None:
                raise refused
            self._metrics.queue_depth.dec()
            if not last.future.cancelled():
                last.future.set_exception(refused)

    def _next_batch(self) -> list[_Job]:
        """The next jobs in turn that fit the token budget, at least one; those that were cancelled are dropped."""
        jobs: list[_Job] = []
        room = self._max_batch_tokens
        while job := self._queue.pop(room if jobs else None):
            self._metrics.queue_depth.dec()
            if job.future.cancelled():
                self._metrics.cancelled.labels("queue").inc()
                continue
            jobs.append(job)
            room -= job.cost
        return jobs

    async def _answer(self, jobs: list[_Job]) -> None:
        """Run one batch and hand out its answers; if it fails, its own submitters are told and nobody else."""
        batch = [job.encoded for job in jobs]
        started = time.perf_counter()
        try:
            output = await asyncio.get_running_loop().run_in_executor(self._worker, self._run, batch)
            inference_s = time.perf_counter() - started
            self.busy_s += inference_s
            self._record(batch, output, inference_s)
            answers = [
                Answer(logits, output.rung, started - job.submitted, inference_s)
                for job, logits in zip(jobs, output.logits, strict=True)
            ]
        except Exception as error:
            for job in jobs:
                if not job.future.done():
                    job.future.set_exception(error)
            return
        for job, answer in zip(jobs, answers, strict=True):
            if job.future.cancelled():
                self._metrics.cancelled.labels("inference").inc()
                continue
            self._metrics.queue_duration.observe(answer.queue_s)
            job.future.set_result(answer)

    def _record(self, batch: list[Encoded], output: BatchOutput, inference_s: float) -> None:
        self._recent_tokens = _PAST * self._recent_tokens + sum(map(batch_cost, batch))
        self._recent_seconds = _PAST * self._recent_seconds + inference_s
        self._metrics.inference_duration.labels(output.rung.name).observe(inference_s)
        if output.rung.bases:  # some of its versions are masked
            self._metrics.reconstruct_duration.labels(output.rung.name).observe(output.reconstruct_s)
        self._metrics.batch_size.observe(len(batch))
        self._metrics.batch_tokens.observe(output.tokens)
        padded = len(batch) * max(len(encoded.input_ids) for encoded in batch)
        self._metrics.batch_padding_ratio.observe(1 - output.tokens / padded)
        self._metrics.batch_tasks.observe(len({task for encoded in batch for task in encoded.tasks}))

    def _retry_after_s(self) -> float:
        """The seconds the queue needs at the recent speed, within bounds; the least before any batch was timed."""
        return min(max(self.backlog_s, _SHORTEST_RETRY_S), _LONGEST_RETRY_S)
