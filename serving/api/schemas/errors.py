"""The JSON of every error outside `/v2`."""

from merge_builder.closed import Closed


class ErrorDetail(Closed):
    """`param` is the path of the offending part of the request, such as `inputs[2].text`."""

    type: str
    message: str
    param: str | None
    request_id: str


class ErrorBody(Closed):
    """The body of every error outside /v2."""

    error: ErrorDetail
