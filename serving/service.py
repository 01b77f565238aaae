"""The core behind every transport: inputs and tasks in; logits, the rung that computed them, usage and timings out.

service = Service(load_engine(ladder, rung), Choice(budget=None, reason="asked for by --rung 2.0"))
await service.start()
result = await service.predict([Text("a fine film")], ["sst2"])
result.logits["sst2"]
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TYPE_CHECKING, TypedDict, Unpack

from merge_builder.errors import InputError
from merge_builder.ladder import Manifest, RungSize
from merge_builder.ladder.manifest import Task
from merge_builder.names import nearest
from serving.batcher import Answer, Batcher, batch_cost
from serving.encoding import Ids, Row, Text, encode
from serving.errors import Draining, RequestError, RequestTooLarge, TooManyInputs, UnknownTask
from serving.floor import check_rung, least_rung
from serving.metrics import Metrics
from serving.one_rung import answer_by_one_rung
from serving.result import Result, make_result
from serving.rung_metrics import RungCollector
from serving.streaming import in_order

if TYPE_CHECKING:
    from serving.engine.engine import Engine

MAX_BATCH_TOKENS = 4096
_LONGEST_NAME = 200
_STREAM_CHUNK = 32  # inputs that are tokenised at once


@dataclass(frozen=True)
class Choice:
    """Why the engine is on its rung: the memory budget in bytes where one decided, and the reason in words."""

    budget: int | None
    reason: str


class Options(TypedDict, total=False):
    """What a request may ask for: that a text which is too long is cut (the default) or refused, and a floor.

    `min_rung` is the smallest rung that may answer, in the form that `--rung` takes; `min_score` the share of the
    experts' accuracy that it must keep (`serving.floor`).
    """

    truncate: bool
    min_rung: str | None
    min_score: float | None


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
        self._closed = False
        self._max_inputs = max_inputs
        self._stream_window = min(2 * max_batch_tokens, max_queued_tokens)  # the batch in the engine and the next
        self._max_request_tokens = min(max_request_tokens, max_queued_tokens)
        self.max_length = {task: engine.max_length(task) for task in self.tasks}
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")
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
        """Answer one text for every task; only then is the service `ready`."""
        await self.predict([Text("ready?")], list(self.tasks))
        self.ready = True

    async def aclose(self) -> None:
        """No longer ready: refuse new work, answer what is queued, stop the threads."""
        self.ready = False
        self._closed = True
        await self.batcher.aclose()
        self._tokenizing.shutdown(wait=False)

    async def predict(
        self,
        inputs: Sequence[Text | Ids],
        tasks: Sequence[str],
        **options: Unpack[Options],
    ) -> Result:
        """Every task's logits for every input, in order. There is at least one input and one task.

        Raises:
            RequestError: the request is wrong.
            Unavailable: it cannot be answered now.
        """
        distinct = tuple(dict.fromkeys(tasks))
        return await self.predict_each(inputs, [distinct] * len(inputs), **options)

    async def predict_each(
        self,
        inputs: Sequence[Text | Ids],
        tasks: Sequence[Sequence[str]],
        *,
        truncate: bool = True,
        min_rung: str | None = None,
        min_score: float | None = None,
    ) -> Result:
        """As `predict`, where each input has tasks of its own: at least one, none of them twice."""
        started = time.perf_counter()
        self.check_count(len(inputs))
        least = self._accept(tasks, min_rung, min_score)
        rows = await self._encode(inputs, tasks, truncate)
        self._check_size("the request", rows)
        tokenize = time.perf_counter() - started
        self.metrics.tokenize_duration.observe(tokenize)
        answers = await self._answer(rows)
        check_rung(answers[0].rung, least)  # it may have changed meanwhile
        self._count(rows)
        return make_result(rows, answers, tasks, tokenize=tokenize, total=time.perf_counter() - started)

    async def stream(
        self,
        inputs: Sequence[Text | Ids],
        tasks: Sequence[Sequence[str]],
        *,
        truncate: bool = True,
        min_rung: str | None = None,
        min_score: float | None = None,
    ) -> AsyncGenerator[Result, None]:
        """As `predict_each`, but a result for each input, in order: each as soon as it is known, by a rung of its own.

        However many inputs there are, few are tokenised and queued ahead of what the caller has taken. Of the timings,
        `tokenize` and `total` run from the start of the stream. Close it to give up what has not been computed.
        """
        started, tokenize = time.perf_counter(), 0.0
        least = self._accept(tasks, min_rung, min_score)

        async def encoded() -> AsyncIterator[list[Row]]:
            nonlocal tokenize
            for first in range(0, len(inputs), _STREAM_CHUNK):
                before, some = time.perf_counter(), slice(first, first + _STREAM_CHUNK)
                rows = await self._encode(inputs[some], tasks[some], truncate, first)
                tokenize += time.perf_counter() - before
                for _, own in groupby(sorted(rows, key=_place), _place):
                    yield list(own)

        async def answer(rows: Sequence[Row]) -> list[Answer]:
            self._check_size(f"inputs[{rows[0].place}]", rows)
            return await self._answer(rows)

        async with aclosing(in_order(encoded(), answer, self._stream_window)) as answered:
            async for rows, answers in answered:
                check_rung(answers[0].rung, least)
                self._count(rows)
                place, total = rows[0].place, time.perf_counter() - started
                yield make_result(rows, answers, [tasks[place]], tokenize=tokenize, total=total, first=place)
        self.metrics.tokenize_duration.observe(tokenize)

    def check_count(self, inputs: int) -> None:
        """Raises TooManyInputs if a request may not have so many."""
        if inputs > self._max_inputs:
            raise TooManyInputs(
                f"the request has {inputs} inputs and at most {self._max_inputs} are taken: split it, or have its "
                "answers streamed",
                "inputs",
            )

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

    def _accept(self, tasks: Iterable[Sequence[str]], min_rung: str | None, min_score: float | None) -> RungSize | None:
        """The rung that is needed; refuses what can be seen to be wrong or impossible before any text is looked at."""
        if self._closed:
            raise Draining()
        asked = list(dict.fromkeys(chain.from_iterable(tasks)))
        for task in asked:
            self.check_task(task)
        least = least_rung(self.manifest, asked, self.floors, min_rung=min_rung, min_score=min_score)
        check_rung(self.engine.rung, least)
        return least

    async def _encode(
        self, inputs: Sequence[Text | Ids], tasks: Sequence[Sequence[str]], truncate: bool, first: int = 0
    ) -> list[Row]:
        """Tokenise and check all that could make the engine refuse, so that no request fails with another's batch."""

        def work() -> list[Row]:
            rows = encode(self.engine.tokenizer, inputs, tasks, self.max_length, truncate=truncate, first=first)
            for row in rows:
                try:
                    self.engine.check(row.encoded)
                except InputError as error:
                    raise RequestError(f"inputs[{row.place}]: {error}", f"inputs[{row.place}]") from error
            return rows

        return await asyncio.get_running_loop().run_in_executor(self._tokenizing, work)

    def _check_size(self, what: str, rows: Sequence[Row]) -> None:
        cost, most = sum(batch_cost(row.encoded) for row in rows), self._max_request_tokens
        if cost > most:
            raise RequestTooLarge(f"{what} has {cost} tokens over its tasks and at most {most} are taken: split it")

    async def _answer(self, rows: Sequence[Row]) -> list[Answer]:
        return await answer_by_one_rung(self.engine, self.batcher, rows)

    def _count(self, rows: Sequence[Row]) -> None:
        for row in rows:
            for task in row.encoded.tasks:
                self.metrics.inputs.labels(task).inc()
                self.metrics.tokens.labels(task).inc(len(row.encoded.input_ids))


def _place(row: Row) -> int:
    return row.place
