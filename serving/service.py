"""The core behind every transport: inputs and tasks in; logits, the rung that computed them, usage and timings out.

service = Service(load_engine(ladder, rung), Choice(budget=None, reason="asked for by --rung 2.0"))
await service.start()
result = await service.predict([Text("a fine film")], ["sst2"])
result.logits["sst2"]
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from merge_builder.errors import InputError
from merge_builder.ladder import Manifest, Rung, RungSize, select
from merge_builder.ladder.manifest import Task
from merge_builder.names import nearest
from serving.batcher import Answer, Batcher, batch_cost
from serving.encoding import Ids, Row, Text, encode
from serving.errors import Draining, RequestError, RequestTooLarge, RungTooSmall, TooManyInputs, UnknownTask
from serving.metrics import Metrics
from serving.result import Result, Timings, by_task
from serving.rung_metrics import RungCollector

if TYPE_CHECKING:
    from serving.engine.engine import Engine


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
        max_batch_tokens: int = 4096,
        max_queued_tokens: int = 65536,
        max_inputs: int = 1024,
        max_request_tokens: int = 32768,
    ) -> None:
        self.engine = engine
        self.choice = choice
        self.ladder_name = engine.ladder.name  # kept: it asks the file system
        self.tasks = {task.name: task for task in self.manifest.tasks}
        self.metrics = Metrics(self.tasks)
        self.metrics.registry.register(RungCollector(self))
        self.ready = False
        self._closed = False
        self._max_inputs = max_inputs
        self._max_request_tokens = min(max_request_tokens, max_queued_tokens)
        self.max_length = {task: engine.max_length(task) for task in self.tasks}
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")
        self._batcher = Batcher(
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
        """Answer one text for every task; only then is the service `ready`."""
        await self.predict([Text("ready?")], list(self.tasks))
        self.ready = True

    async def aclose(self) -> None:
        """No longer ready: refuse new work, answer what is queued, stop the threads."""
        self.ready = False
        self._closed = True
        await self._batcher.aclose()
        self._tokenizing.shutdown(wait=False)

    async def predict(
        self,
        inputs: Sequence[Text | Ids],
        tasks: Sequence[str],
        *,
        truncate: bool = True,
        min_rung: str | None = None,
    ) -> Result:
        """Every task's logits for every input, in order. There is at least one input and one task.

        `min_rung` is a rung in the form that `--rung` takes; no smaller one may answer.

        Raises:
            RequestError: the request is wrong.
            Unavailable: it cannot be answered now.
        """
        started = time.perf_counter()
        if self._closed:
            raise Draining()
        for task in tasks:
            self.check_task(task)
        if len(inputs) > self._max_inputs:
            raise TooManyInputs(
                f"the request has {len(inputs)} inputs and at most {self._max_inputs} are taken: split it", "inputs"
            )
        least = self._least_rung(min_rung)
        _check_rung(self.engine.rung, least)
        thread = asyncio.get_running_loop().run_in_executor
        rows = await thread(self._tokenizing, self._encode, inputs, tasks, truncate)
        tokenize = time.perf_counter() - started
        self.metrics.tokenize_duration.observe(tokenize)
        answers = await self._answer(rows)
        _check_rung(answers[0].rung, least)  # it may have changed meanwhile
        self._count(rows)
        last = max(answers, key=lambda answer: answer.queue_s + answer.inference_s)
        return Result(
            logits=by_task(rows, answers, tasks, len(inputs)),
            rung=answers[0].rung,
            tokens=sum(len(row.encoded.input_ids) for row in rows),
            truncated=sum(row.encoded.truncated for row in rows),
            timings=Timings(last.queue_s, tokenize, last.inference_s, time.perf_counter() - started),
        )

    def check_task(self, name: str, param: str = "task") -> Task:
        """The task called `name`; `param` is where the request names it.

        Raises:
            UnknownTask: the ladder has none; the message tells the nearest.
        """
        if name not in self.tasks:
            hint = nearest(name, self.tasks) or f": it has {', '.join(self.tasks)}"
            raise UnknownTask(f"this ladder has no task {name!r}{hint}", param)
        return self.tasks[name]

    def _least_rung(self, min_rung: str | None) -> RungSize | None:
        try:
            return None if min_rung is None else select(self.manifest, min_rung)
        except InputError as error:
            raise RequestError(str(error), "parameters.min_rung") from error

    def _encode(self, inputs: Sequence[Text | Ids], tasks: Sequence[str], truncate: bool) -> list[Row]:
        """Tokenise and check all that could make the engine refuse, so that no request fails with another's batch."""
        lengths = {task: self.max_length[task] for task in tasks}
        rows = encode(self.engine.tokenizer, inputs, lengths, truncate=truncate)
        cost, most = sum(batch_cost(row.encoded) for row in rows), self._max_request_tokens
        if cost > most:
            raise RequestTooLarge(
                f"the request has {cost} tokens over its tasks and at most {most} are taken: split it"
            )
        for row in rows:
            try:
                self.engine.check(row.encoded)
            except InputError as error:
                raise RequestError(f"inputs[{row.place}]: {error}", f"inputs[{row.place}]") from error
        return rows

    async def _answer(self, rows: Sequence[Row]) -> list[Answer]:
        """Answers by one and the same rung: if it changed on the way, what the old one computed is asked again."""
        answers = await self._submit(rows)
        while len({answer.rung.name for answer in answers}) > 1:
            current = self.engine.rung.name
            stale = [i for i, answer in enumerate(answers) if answer.rung.name != current]
            for i, answer in zip(stale, await self._submit([rows[i] for i in stale]), strict=True):
                answers[i] = answer
        return answers

    async def _submit(self, rows: Sequence[Row]) -> list[Answer]:
        """All rows or none: if one is refused, fails or is cancelled, the others are given up."""
        futures: list[asyncio.Future[Answer]] = []
        try:
            for row in rows:
                futures.append(self._batcher.submit(row.encoded))
            return await asyncio.gather(*futures)
        finally:
            for future in futures:
                future.cancel()  # does nothing to those that are done

    def _count(self, rows: Sequence[Row]) -> None:
        for row in rows:
            for task in row.encoded.tasks:
                self.metrics.inputs.labels(task).inc()
                self.metrics.tokens.labels(task).inc(len(row.encoded.input_ids))


def _check_rung(current: Rung, least: RungSize | None) -> None:
    if least is not None and current.size.index > least.index:
        raise RungTooSmall(
            f"the current rung is {current.name} ({current.size.ratio:.3f}x) and at least #{least.index} "
            f"({least.ratio:.3f}x) was asked for",
            "parameters.min_rung",
        )
