"""`POST /v1/embeddings`, in the shape of OpenAI's: `model` names the task. Its clients work with it unchanged."""

import base64
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from merge_builder.ladder import kind_of
from serving.api.bodies import body_of, read_body
from serving.api.errors import InvalidRequest
from serving.api.headers import answer_headers
from serving.api.schemas.embeddings import EmbeddedText, EmbeddingsRequest, EmbeddingsResponse, EmbeddingsUsage
from serving.api.schemas.errors import ErrorBody
from serving.inputs import Text
from serving.service import Service

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 401, 404, 413, 422, 429, 503, 504)
}


BODIES: tuple[type[BaseModel], ...] = (EmbeddingsRequest,)


def routes(service: Service) -> APIRouter:
    """The one route."""
    router = APIRouter(prefix="/v1", tags=["v1"])

    @router.post(
        "/embeddings",
        response_model=EmbeddingsResponse,
        responses=_ERRORS,
        openapi_extra=body_of(EmbeddingsRequest),
    )
    async def embed(request: Request) -> Response:
        """Every text as a vector, in order."""
        body = await read_body(request, EmbeddingsRequest)
        _check(service, body)
        texts = [Text(text) for text in body.input]
        request.state.inputs, request.state.tasks = len(texts), [body.model]
        result = await service.predict(texts, [body.model], deadline=request.state.deadline)
        answer = EmbeddingsResponse(
            data=[
                EmbeddedText(index=index, embedding=_encoded(vector.astype("<f4").tobytes(), body) or vector.tolist())
                for index, vector in enumerate(result.logits[body.model])
            ],
            model=body.model,
            usage=EmbeddingsUsage(prompt_tokens=result.tokens, total_tokens=result.tokens, truncated=result.truncated),
        )
        return Response(answer.model_dump_json(), 200, answer_headers(result), "application/json")

    return router


def _check(service: Service, body: EmbeddingsRequest) -> None:
    kind = kind_of(service.check_task(body.model, "model"))
    if kind != "embedding":
        raise InvalidRequest(
            f"task {body.model!r} is a {kind} and gives no embeddings: POST /v1/tasks/{body.model}/predict", "model"
        )
    if body.dimensions is not None:
        raise InvalidRequest("dimensions: these vectors cannot be cut to fewer: leave it out", "dimensions")


def _encoded(data: bytes, body: EmbeddingsRequest) -> str | None:
    return base64.b64encode(data).decode("ascii") if body.encoding_format == "base64" else None
