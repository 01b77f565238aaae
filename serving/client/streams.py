"""How a stream is read, and gone on with where it broke. Nothing here touches the network."""

from collections.abc import Sequence

import httpx
from pydantic import TypeAdapter, ValidationError

from serving.api.schemas.answers import LastLine, TasksLine
from serving.api.schemas.errors import ErrorBody
from serving.client.bodies import Input, MixedInput, Options, Tasks, body_of
from serving.client.calls import Call
from serving.client.errors import api_error
from serving.client.replies import unexpected

Line = TasksLine | LastLine | ErrorBody
_LINE: TypeAdapter[Line] = TypeAdapter(Line)


class Progress:
    """How far a stream has come; `call` asks for the inputs that have no line yet."""

    def __init__(self, inputs: Sequence[Input | MixedInput], tasks: Tasks | None, options: Options) -> None:
        self._whole = False
        self._inputs, self._tasks, self._options = inputs, tasks, options
        self._sent = self._done = 0

    def call(self) -> Call[Line]:
        """The request for the rest."""
        self._sent = self._done
        body = body_of(self._inputs[self._sent :], self._options, self._tasks)
        return Call("v1/predict", _read, body, "application/x-ndjson")

    def read(self, text: str, call: Call[Line], response: httpx.Response) -> TasksLine | None:
        """The line, its index that among all inputs; None for the last line.

        Raises:
            MergeLadderApiError: the line is an error, or none of a stream.
        """
        try:
            line = call.read(text.encode())
        except ValidationError as error:
            raise unexpected(call, response) from error
        match line:
            case TasksLine(index=index) if index + self._sent == self._done < len(self._inputs):
                self._done += 1
                return line.model_copy(update={"index": index + self._sent})
            case LastLine() if self._done == len(self._inputs):
                self._whole = True
                return None
            case ErrorBody(error=told):
                raise api_error(told.type, told.message, self._param(told.param), told.request_id)
        raise unexpected(call, response)

    def end(self, response: httpx.Response) -> httpx.RequestError | None:
        """None if the stream is whole; else the error of one that was cut off, as httpx tells lost connections."""
        return None if self._whole else httpx.RemoteProtocolError("the stream was cut off", request=response.request)

    def _param(self, param: str | None) -> str | None:
        """`inputs[2].text` of what was sent, as a path into all inputs."""
        if param is None or not param.startswith("inputs["):
            return param
        index, _, rest = param.removeprefix("inputs[").partition("]")
        return f"inputs[{int(index) + self._sent}]{rest}"


def _read(line: bytes) -> Line:
    return _LINE.validate_json(line, extra="ignore")  # a newer server may tell more
