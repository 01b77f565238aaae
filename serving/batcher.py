"""Token-budget batching: requests that arrive while the engine is busy share its next batch.

    batcher = Batcher(engine.run, max_batch_tokens=4096, max_queued_tokens=65536, metrics=metrics)
    batcher.check_time([encoded], deadline)
    answer = await batcher.submit(encoded, deadline)

One batch is in flight at a time, in one worker thread, so batches form exactly while the engine is busy: there is no
waiting time to tune, and a lone request never waits for company. Tasks take turns, counted in tokens; within a task the
order is first in, first out. An input asked for several tasks waits in the line of the first.

Work that would be late is not begun: by the recent speed it is refused when it comes, or left out of its batch when its
turn has come. Deadlines are on the clock of `time.perf_counter`.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from serving.batch_metrics import observe_batch
from serving.engine.types import BatchOutput, Input
from serving.errors import DeadlineExceeded, Draining, Overloaded
from serving.fair_queue import FairQueue
from serving.in_time import check_in_time, retry_after
from serving.job import Answer, Job, batch_cost
from serving.metrics import Metrics
from serving.speed import Speed


class Batcher:
    """Feeds `run` with batches of at most `max_batch_tokens` (an input that is larger by itself runs alone).

    All methods belong to one event loop; `run` is called in a thread of the batcher's own, never twice at a time.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Input]], BatchOutput],
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
        self._queue: FairQueue[Job] = FairQueue()
        self._speed = Speed()
        self._free_at = 0.0  # when the batch that is computed should be done
        self.busy_s = 0.0  # that the engine has computed since the start
        self._loop: asyncio.Task[None] | None = None
        self._closed = False

    def check_time(self, inputs: Sequence[Input], deadline: float) -> None:
        """Refuse what, by the recent speed, would not be answered until `deadline` if it were all submitted now.

        Where nothing waits or is computed it is tried, whatever the recent speed was.

        Raises:
            DeadlineExceeded: there would not be the time for it even if nothing else waited.
            Overloaded: what is ahead of it takes too long.
        """
        if self.idle:
            return
        costs: Counter[str] = Counter()
        for item in inputs:
            costs[item.tasks[0]] += batch_cost(item)
        now, own = time.perf_counter(), self._seconds(costs.total())
        others = max(self._free_at - now, 0.0) + self._seconds(self._queue.ahead(costs)) - own
        check_in_time(left=deadline - now, own=own, ahead=others)

    def submit(self, encoded: Input, deadline: float = math.inf) -> asyncio.Future[Answer]:
        """Queue one input; await the result for its answer, cancel it to give the input up.

        A full queue makes room for a task at the cost of the one that fills most of it: that one's last inputs fail
        with Overloaded when awaited.

        Raises:
            Overloaded: more than `max_queued_tokens` would wait, and no other task holds more of them.
            Draining: the batcher is closed.
            DeadlineExceeded: at its turn there was not the time left to compute it until `deadline` (when awaited).
            Exception: whatever `run` raised for the input's batch (when awaited).
        """
        if self._closed:
            raise Draining()
        job = Job(encoded, asyncio.get_running_loop().create_future(), time.perf_counter(), deadline)
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
    def idle(self) -> bool:
        """Whether nothing waits or is computed."""
        return self._loop is None

    @property
    def backlog_s(self) -> float:
        """The seconds that what waits needs at the recent speed; 0 before any batch was timed."""
        return self._seconds(self._queue.cost)

    async def _work_off(self) -> None:
        try:
            while jobs := self._next_batch():
                await self._answer(jobs)
        finally:
            self._loop = None

    def _make_room(self, job: Job) -> None:
        while len(self._queue) and self._queue.cost + job.cost > self._max_queued_tokens:
            refused = Overloaded(retry_after(self.backlog_s))
            last = self._queue.pop_longest(job.encoded.tasks[0], job.cost)
            if last is None:
                raise refused
            self._metrics.queue_depth.dec()
            if not last.future.cancelled():
                last.future.set_exception(refused)

    def _next_batch(self) -> list[Job]:
        """The next jobs in turn that fit the token budget, at least one, and that can all be done in time.

        Those that were cancelled are dropped. Those for which it is too late fail; but where nothing else is left to
        do, one of them is tried: it may be that the engine has become faster.
        """
        jobs: list[Job] = []
        late: list[Job] = []
        now, due, cost, room = time.perf_counter(), math.inf, 0, float(self._max_batch_tokens)
        while job := self._queue.pop(room - cost if jobs else None):
            self._metrics.queue_depth.dec()
            if job.future.cancelled():
                self._metrics.cancelled.labels("queue").inc()
            elif now + self._speed.seconds(cost + job.cost) > job.deadline:
                late.append(job)
            else:
                jobs.append(job)
                cost, due = cost + job.cost, min(due, job.deadline)
                room = min(self._max_batch_tokens, self._speed.tokens(due - now))
        if late and not jobs and late[-1].deadline > now:
            jobs.append(late.pop())
        for job in late:
            self._metrics.cancelled.labels("late").inc()
            job.future.set_exception(DeadlineExceeded("the request would be late by now: allow it more time"))
        return jobs

    async def _answer(self, jobs: list[Job]) -> None:
        """Run one batch and hand out its answers; if it fails, its own submitters are told and nobody else."""
        batch = [job.encoded for job in jobs]
        started = time.perf_counter()
        self._free_at = started + self._speed.seconds(sum(job.cost for job in jobs))
        try:
            output = await asyncio.get_running_loop().run_in_executor(self._worker, self._run, batch)
            inference_s = time.perf_counter() - started
            self.busy_s += inference_s
            self._speed.record(sum(map(batch_cost, batch)), inference_s)
            observe_batch(self._metrics, batch, output, inference_s)
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

    def _seconds(self, cost: int) -> float:
        """What inputs of `cost` tokens need at the recent speed, in as few batches as hold them."""
        return self._speed.seconds(cost, math.ceil(cost / self._max_batch_tokens))
