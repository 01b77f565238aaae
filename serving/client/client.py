"""The client that waits: calls, retries and errors around httpx."""

import time
from collections.abc import Generator, Sequence
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


class Client:
    """Asks a server, over connections that it keeps until it is closed. Threads may share one.

    `url` is where the server's routes begin, `key` the bearer key where it wants one. A call may take `timeout`
    seconds, its pauses included, and is sent again at most `retries` times: after 429, 503 and lost connections.
    Where there is no answer, every call raises a subclass of MergeLadderApiError.
    """

    def __init__(self, url: str, key: str | None = None, timeout: float = 30.0, retries: int = 8) -> None:
        self._url, self._timeout, self._retries = url, timeout, retries
        self._http = httpx.Client(base_url=url, headers=authorisation(key))

    def predict(self, task: str, inputs: Sequence[Input], **options: Unpack[Options]) -> TaskResponse:
        """One task's answer for each input, in order."""
        return self._ask(calls.predict(task, inputs, options))

    def predict_many(self, inputs: Sequence[Input], tasks: Named = "all", **options: Unpack[Options]) -> TasksResponse:
        """The answers of several tasks for each input; what the tasks share of the model runs once."""
        return self._ask(calls.predict_many(inputs, tasks, options))

    def predict_each(
        self, inputs: Sequence[Input | MixedInput], tasks: Auto | None = None, **options: Unpack[Options]
    ) -> MixedResponse:
        """The answers of its own tasks for each input, `{"text": ..., "tasks": [...]}`, in order.

        With "auto" the ladder's router chooses the task of an input that names none; how sure it is, the answer tells.
        """
        return self._ask(calls.predict_each(inputs, tasks, options))

    def stream(
        self, inputs: Sequence[Input | MixedInput], tasks: Tasks | None = "all", **options: Unpack[Options]
    ) -> Generator[TasksLine, None, None]:
        """The answers for each input, in order, one by one as they are computed; inputs may name tasks of their own.

        `timeout` is for each line here. A stream that is lost is gone on with where it was. Leaving the loop gives up
        the rest.
        """
        progress, retries = Progress(inputs, tasks, options), Retries(self._timeout, self._retries)
        while True:
            call = progress.call()
            reply: Reply | None = None
            try:
                with self._http.stream(**call.request(retries.left())) as response:
                    if response.is_success:
                        for text in response.iter_lines():
                            if line := progress.read(text, call, response):
                                yield line
                                retries = Retries(self._timeout, self._retries)
                        reply = progress.end(response)
                    else:
                        response.read()
                        reply = response
            except (httpx.RequestError, MergeLadderApiError) as error:
                reply = error
            if reply is None:
                return
            if (pause := retries.pause_after(reply)) is None:
                raise failure(reply, self._url, self._timeout)
            time.sleep(pause)

    def embed(self, task: str, texts: Sequence[str]) -> list[list[float]]:
        """The vector of each text, in order, by a task that embeds."""
        return self._ask(calls.embed(task, texts))

    def tasks(self) -> list[TaskInfo]:
        """Every task, with its labels in the order of its logits."""
        return self._ask(calls.list_tasks())

    def ladder(self) -> LadderInfo:
        """The ladder's rungs, the one that answers now, and why it is that one."""
        return self._ask(calls.describe_ladder())

    def _ask(self, call: Call[T]) -> T:
        retries = Retries(self._timeout, self._retries)
        while True:
            try:
                reply: Reply = self._http.request(**call.request(retries.left()))
            except httpx.RequestError as error:
                reply = error
            if (pause := retries.pause_after(reply)) is None:
                return final(call, reply, self._url, self._timeout)
            time.sleep(pause)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
