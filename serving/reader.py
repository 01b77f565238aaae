"""From a request's inputs to what the engine takes, within a request's bounds and off the event loop.

reader = Reader(engine, {"sst2": 128}, Limits(inputs=1024, tokens=32768))
rows = await reader.read([Text("a fine film")], [("sst2",)], truncate=True)
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from merge_builder.errors import InputError
from merge_builder.ladder import kind_of
from serving.encoding import Row, encode
from serving.errors import RequestError
from serving.images.encode import ImageEncoder, grey
from serving.images.processors import load_processors
from serving.inputs import Ids, ImageFile, Input, Text, files_of, texts_of
from serving.limits import Limits
from serving.routing import Chooser, Route, load_chooser

if TYPE_CHECKING:
    from serving.engine.engine import Engine

_SHORT = 500  # characters, which take less than half a millisecond
_MOST_DECODERS = 4  # at once: each may hold as many pixels as an image may have


class Reader:
    """Tokenises in a thread of its own, in the order of the calls; `max_lengths` tells the most tokens a task takes.

    Image files are decoded in a few threads, each by itself.
    """

    def __init__(self, engine: "Engine", max_lengths: Mapping[str, int], limits: Limits) -> None:
        self._engine, self._max_lengths, self._limits = engine, max_lengths, limits
        self._kinds = {task.name: kind_of(task) for task in engine.ladder.manifest.tasks}
        self._images = None
        if engine.modality == "image":
            self._images = ImageEncoder(
                load_processors(engine.ladder, engine.ladder.manifest.tasks), engine.image_tokens
            )
        self.chooser: Chooser | None = None  # of tasks, for inputs that name none
        if engine.modality == "text":
            self.chooser = load_chooser(engine.ladder, engine.tokenizer)
        threads = 1 if self._images is None else min(_MOST_DECODERS, os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="reader")

    def samples(self) -> list[tuple[Input, tuple[str, ...]]]:
        """Inputs that every task takes, each with those that take it."""
        if self._images is not None:
            return [(grey(), tuple(self._kinds))]
        asking = tuple(task for task, kind in self._kinds.items() if kind == "question_answering")
        others = tuple(task for task in self._kinds if task not in asking)
        pairs: list[tuple[Input, tuple[str, ...]]] = [(Text("ready?"), others), (Text("ready?", "ready."), asking)]
        return [(item, tasks) for item, tasks in pairs if tasks]

    async def check_images(self, inputs: Sequence[Input], tasks: Sequence[Sequence[str]]) -> None:
        """Refuse a request for what its image files tell in their headers, before any of them is decoded.

        Raises:
            RequestError: one cannot be read, or together they have more tokens or pixels than a request may.
        """
        images = self._images
        if images is None:
            return
        files = files_of(inputs, 0)

        def work() -> None:
            measures = [images.measure(place, *pair) for place, pair in enumerate(zip(files, tasks, strict=True))]
            self._limits.check_tokens("the request", sum(measure.tokens for measure in measures))
            self._limits.check_pixels(sum(measure.pixels for measure in measures))

        await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def choose(
        self, inputs: Sequence[Input], places: Sequence[int], *, first: int = 0, at_once: bool = False
    ) -> dict[int, Route]:
        """Where the router gives those of `inputs` that are at `places` of the request, by place; the others are as in
        `read`. There is a router.

        Raises:
            RequestError: an input cannot be read.
        """
        assert self.chooser is not None
        chooser, found = self.chooser, dict(enumerate(texts_of(inputs, first), first))

        def work() -> dict[int, Route]:
            routes: dict[int, Route] = {}
            for place in places:
                item = found[place]
                assert isinstance(item, Text)  # token ids come with a task
                [routes[place]] = chooser.choose([item], place)
            return routes

        if at_once and sum(_size(found[place]) for place in places) <= _SHORT:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def read(
        self,
        inputs: Sequence[Input],
        tasks: Sequence[Sequence[str]],
        *,
        truncate: bool,
        first: int = 0,
        overlap: int | None = None,
        at_once: bool = False,
    ) -> list[Row]:
        """The rows of `inputs`, which are those of the request from the place `first` on, as `serving.encoding` makes
        them of texts and `serving.images` of images, and checked for all that could make the engine refuse, so that no
        request fails with another's batch.

        With `at_once` short texts are tokenised here and now, which takes less time than to hand them over: for when
        nobody else waits for the event loop.

        Raises:
            RequestError: an input cannot be read.
        """
        if self._images is None:
            texts = texts_of(inputs, first)

            def work() -> list[Row]:
                rows = encode(
                    self._engine.tokenizer,
                    texts,
                    tasks,
                    self._max_lengths,
                    truncate=truncate,
                    first=first,
                    kinds=self._kinds,
                    overlap=overlap,
                )
                self._check(rows)
                return rows

            if at_once and sum(map(_size, texts)) <= _SHORT:
                return work()
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        return await self._read_images(self._images, files_of(inputs, first), tasks, first)

    async def _read_images(
        self, images: ImageEncoder, files: Sequence[ImageFile], tasks: Sequence[Sequence[str]], first: int
    ) -> list[Row]:
        def work(place: int, item: ImageFile, names: Sequence[str]) -> list[Row]:
            rows = images.encode(place, item, names)
            self._check(rows)
            return rows

        loop = asyncio.get_running_loop()
        jobs = [
            loop.run_in_executor(self._threads, work, place, item, names)
            for place, (item, names) in enumerate(zip(files, tasks, strict=True), first)
        ]
        try:
            return [row for job in jobs for row in await job]
        finally:
            for job in jobs:
                job.cancel()  # none is decoded for nobody

    def _check(self, rows: Sequence[Row]) -> None:
        for row in rows:
            try:
                self._engine.check(row.encoded)
            except InputError as error:
                raise RequestError(f"inputs[{row.place}]: {error}", f"inputs[{row.place}]") from error

    def close(self) -> None:
        """Stop the threads; what was asked of them is read."""
        self._threads.shutdown(wait=False)


def _size(item: Text | Ids) -> int:
    return len(item.input_ids) if isinstance(item, Ids) else len(item.text) + len(item.pair or "")
