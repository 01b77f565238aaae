"""The same client with `await`."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Self, TypeVar, Unpack

import httpx

from serving.api.schemas.answers import MixedResponse, TaskResponse, TasksLine, TasksResponse
from serving.api.schemas.ladder import LadderInfo, TaskInfo
from serving.client import calls
from serving.client.bodies import Auto, Input, MixedInput, Named, Options, Tasks
from serving.client.calls import Call, authorisation
from serving.client.errors import MergeLadderApiError
from serving.client.replies import failure, final
from serving.client.retries import Reply, Retries
from serving.client.streams import Progress

T = TypeVar("T")


class AsyncClient:
    """As Client, for asyncio."""

    def __init__(self, url: str, key: str | None = None, timeout: float = 30.0, retries: int = 8) -> None:
        self._url, self._timeout, self._retries = url, timeout, retries
        self._http = httpx.AsyncClient(base_url=url, headers=authorisation(key))

    async def predict(self, task: str, inputs: Sequence[Input], **options: Unpack[Options]) -> TaskResponse:
        """As Client.predict."""
        return await self._ask(calls.predict(task, inputs, options))

    async def predict_many(
        self, inputs: Sequence[Input], tasks: Named = "all", **options: Unpack[Options]
    ) -> TasksResponse:
        """As Client.predict_many."""
        return await self._ask(calls.predict_many(inputs, tasks, options))

    async def predict_each(
        self, inputs: Sequence[Input | MixedInput], tasks: Auto | None = None, **options: Unpack[Options]
    ) -> MixedResponse:
        """As Client.predict_each."""
        return await self._ask(calls.predict_each(inputs, tasks, options))

    async def stream(
        self, inputs: Sequence[Input | MixedInput], tasks: Tasks | None = "all", **options: Unpack[Options]
    ) -> AsyncGenerator[TasksLine, None]:
        """As Client.stream."""
        progress, retries = Progress(inputs, tasks, options), Retries(self._timeout, self._retries)
        while True:
            call = progress.call()
            reply: Reply | None = None
            try:
                async with self._http.stream(**call.request(retries.left())) as response:
                    if response.is_success:
                        async for text in response.aiter_lines():
                            if line := progress.read(text, call, response):
                                yield line
                                retries = Retries(self._timeout, self._retries)
                        reply = progress.end(response)
                    else:
                        await response.aread()
                        reply = response
            except (httpx.RequestError, MergeLadderApiError) as error:
                reply = error
            if reply is None:
                return
            if (pause := retries.pause_after(reply)) is None:
                raise failure(reply, self._url, self._timeout)
            await asyncio.sleep(pause)

    async def embed(self, task: str, texts: Sequence[str]) -> list[list[float]]:
        """As Client.embed."""
        return await self._ask(calls.embed(task, texts))

    async def tasks(self) -> list[TaskInfo]:
        """As Client.tasks."""
        return await self._ask(calls.list_tasks())

    async def ladder(self) -> LadderInfo:
        """As Client.ladder."""
        return await self._ask(calls.describe_ladder())

    async def _ask(self, call: Call[T]) -> T:
        retries = Retries(self._timeout, self._retries)
        while True:
            try:
                reply: Reply = await self._http.request(**call.request(retries.left()))
            except httpx.RequestError as error:
                reply = error
            if (pause := retries.pause_after(reply)) is None:
                return final(call, reply, self._url, self._timeout)
            await asyncio.sleep(pause)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
