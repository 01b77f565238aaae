"""The core behind every transport: inputs and tasks in; logits, the rung that computed them, usage and timings out.

service = Service(load_engine(ladder, rung), Choice(budget=None, reason="asked for by --rung 2.0"))
await service.start()
result = await service.predict([Text("a fine film")], ["sst2"])
result.logits["sst2"]
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Unpack

from merge_builder.ladder import Manifest, RungSize
from merge_builder.ladder.manifest import Task
from merge_builder.names import nearest
from serving.batcher import Batcher
from serving.encoding import Row
from serving.errors import Draining, RungTooSmall, UnknownTask
from serving.floor import check_rung, least_rung
from serving.inputs import Input
from serving.job import Answer
from serving.limits import Limits
from serving.metrics import Metrics
from serving.one_rung import answer_by_one_rung
from serving.options import Options
from serving.reader import Reader
from serving.result import Result, make_result
from serving.route_inputs import route_inputs
from serving.rung_metrics import RungCollector

if TYPE_CHECKING:
    from serving.engine.engine import Engine

MAX_BATCH_TOKENS = 4096
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Choice:
    """Why the engine is on its rung: the memory budget in bytes where one decided, and the reason in words."""

    budget: int | None
    reason: str


class Service:
    """One engine with its batcher and its metrics. All coroutines belong to one event loop.

    `max_inputs` and `max_request_tokens` bound one request. Tokens count once for each task that is asked.
    """

    def __init__(
        self,
        engine: "Engine",
        choice: Choice,
        *,
        max_batch_tokens: int = MAX_BATCH_TOKENS,
        max_queued_tokens: int = 65536,
        max_inputs: int = 1024,
        max_request_tokens: int = 32768,
    ) -> None:
        self.engine = engine
        self.choice = choice
        self.floors: Mapping[str, RungSize] = {}  # of a task, the smallest rung that may answer it
        self.ladder_name = engine.ladder.name  # kept: it asks the file system
        self.tasks = {task.name: task for task in self.manifest.tasks}
        self.metrics = Metrics(self.tasks)
        self.metrics.registry.register(RungCollector(self))
        self.ready = False
        self.out: str | None = None  # why no rung is served, where none fits
        self._closed = False
        self.stream_window = min(2 * max_batch_tokens, max_queued_tokens)  # the batch in the engine and the next
        self.max_length = {task: engine.max_length(task) for task in self.tasks}
        self.limits = Limits(max_inputs, min(max_request_tokens, max_queued_tokens))
        self.reader = Reader(engine, self.max_length, self.limits)
        self.batcher = Batcher(
            engine.run,
            max_batch_tokens=max_batch_tokens,
            max_queued_tokens=max_queued_tokens,
            metrics=self.metrics,
        )

    @property
    def manifest(self) -> Manifest:
        """The manifest of the ladder that is served."""
        return self.engine.ladder.manifest

    async def start(self) -> None:
        """Answer one input for every task; only then is the service `ready`. One that is `out` is not asked."""
        if self.out is not None:
            return
        inputs, tasks = zip(*self.reader.samples(), strict=True)
        await self.predict_each(inputs, tasks)
        self.ready = True

    async def aclose(self) -> None:
        """No longer ready: refuse new work, answer what is queued, stop the threads."""
        self.ready = False
        self._closed = True
        await self.batcher.aclose()
        self.reader.close()

    async def predict(
        self,
        inputs: Sequence[Input],
        tasks: Sequence[str],
        *,
        deadline: float = math.inf,
        **options: Unpack[Options],
    ) -> Result:
        """Every task's logits for every input, in order. There is at least one input and one task.

        An answer after `deadline`, on the clock of `time.perf_counter`, is of no use: what cannot be computed by then
        is not.

        Raises:
            RequestError: the request is wrong.
            Unavailable: it cannot be answered now.
        """
        distinct = tuple(dict.fromkeys(tasks))
        return await self.predict_each(inputs, [distinct] * len(inputs), deadline=deadline, **options)

    async def predict_each(
        self,
        inputs: Sequence[Input],
        tasks: Sequence[Sequence[str] | None],
        *,
        truncate: bool = True,
        overlap: int | None = None,
        min_rung: str | None = None,
        min_score: float | None = None,
        deadline: float = math.inf,
    ) -> Result:
        """As `predict`, where each input has tasks of its own: at least one, none of them twice; or None, where the
        ladder's router is to choose (`has_router`)."""
        started = time.perf_counter()
        self.limits.check_inputs(len(inputs))
        least = self.accept(filter(None, tasks), min_rung=min_rung, min_score=min_score)
        idle = self.batcher.idle
        tasks, routes = await route_inputs(self.reader, self.metrics, inputs, tasks, at_once=idle)
        if routes:
            least = self.accept(tasks, min_rung=min_rung, min_score=min_score)
        await self.reader.check_images(inputs, tasks)
        rows = await self.reader.read(inputs, tasks, truncate=truncate, overlap=overlap, at_once=idle)
        self.limits.check_rows("the request", rows)
        tokenize = time.perf_counter() - started
        self.metrics.tokenize_duration.observe(tokenize)
        answers = await self.answer(rows, deadline)
        check_rung(answers[0].rung, least)  # it may have changed meanwhile
        self.count(rows)
        total = time.perf_counter() - started
        return make_result(rows, answers, tasks, tokenize=tokenize, total=total, routes=routes)

    @property
    def has_router(self) -> bool:
        """Whether an input may leave its tasks to the ladder's router."""
        return self.reader.chooser is not None

    def check_task(self, name: str, param: str = "task") -> Task:
        """The task called `name`; `param` is where the request names it.

        Raises:
            UnknownTask: the ladder has none; the message tells the nearest.
        """
        if name not in self.tasks:
            shown = name[:_LONGEST_NAME]  # nobody is told megabytes of his own
            hint = nearest(shown, self.tasks) or f": it has {', '.join(self.tasks)}"
            raise UnknownTask(f"this ladder has no task {shown!r}{hint}", param)
        return self.tasks[name]

    def accept(
        self, tasks: Iterable[Sequence[str]], *, min_rung: str | None = None, min_score: float | None = None
    ) -> RungSize | None:
        """The rung that a request needs, if any, once all is checked that can be before any text is looked at.

        Raises:
            RequestError: a task, or a rung or score asked for, is not known.
            Unavailable: the service is closed, or its rung is too small.
        """
        if self._closed:
            raise Draining()
        if self.out is not None:
            raise RungTooSmall(f"this node serves no rung: {self.out}", None, self.manifest.rungs[-1].index)
        asked = list(dict.fromkeys(chain.from_iterable(tasks)))
        for task in asked:
            self.check_task(task)
        least = least_rung(self.manifest, asked, self.floors, min_rung=min_rung, min_score=min_score)
        check_rung(self.engine.rung, least)
        return least

    async def answer(self, rows: Sequence[Row], deadline: float = math.inf) -> list[Answer]:
        """The answers to `rows`, all by one rung."""
        return await answer_by_one_rung(self.engine, self.batcher, rows, deadline)

    def count(self, rows: Sequence[Row]) -> None:
        """Tell the metrics that `rows` were answered."""
        for row in rows:
            for task in row.encoded.tasks:
                self.metrics.inputs.labels(task).inc()
                self.metrics.tokens.labels(task).inc(row.encoded.length)
