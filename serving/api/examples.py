"""An example of every body that is answered, for the OpenAPI document; requests have theirs beside their schemas."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from serving.api.protocol import (
    Health,
    InferRequest,
    InferResponse,
    ModelList,
    ModelMetadata,
    ModelReady,
    ProtocolError,
    ServerMetadata,
)
from serving.api.schemas.answers import LastLine, MixedResponse, TaskLine, TaskResponse, TasksLine, TasksResponse
from serving.api.schemas.embeddings import EmbeddingsResponse
from serving.api.schemas.errors import ErrorBody
from serving.api.schemas.ladder import LadderInfo, TaskList
from serving.api.schemas.requests import TaskRequest, TasksRequest

_RANKED = [{"label": "positive", "score": 0.98}, {"label": "negative", "score": 0.02}]
_LOGITS = [-1.95, 1.94]
_RUNG = {"rung": "#37", "index": 37, "ratio": 2.0, "bytes": 181_000_000}
_MODEL = {"ladder": "reviews-and-more", "revision": "5f1c0b7a", "rung": "#37", "ratio": 2.0}
_END = {
    "usage": {"tokens": 5, "truncated": 0},
    "timings_ms": {"queue": 0.2, "tokenize": 0.3, "inference": 6.1, "total": 6.9},
}
_ID = "8a1f5d0c2b7e4f63a9d80c1e5b7f2a34"
_TEXT = {"name": "text", "datatype": "BYTES", "shape": [-1]}
_METADATA = {
    "name": "reviews",
    "versions": ["5f1c0b7a"],
    "platform": "mergeladder",
    "inputs": [_TEXT],
    "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 2]}],
}
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="  # a whole PNG

EXAMPLES: Mapping[type[BaseModel], dict[str, Any]] = {
    TaskResponse: {
        "id": _ID,
        "task": "reviews",
        "model": _MODEL,
        "predictions": [_RANKED],
        "logits": [_LOGITS],
        **_END,
    },
    TasksResponse: {"id": _ID, "model": _MODEL, "results": {"reviews": {"predictions": [_RANKED]}}, **_END},
    MixedResponse: {
        "id": _ID,
        "model": _MODEL,
        "answers": [{"reviews": {"predictions": _RANKED, "confidence": 0.97}}],
        **_END,
    },
    TaskLine: {"index": 0, "rung": "#37", "predictions": _RANKED},
    TasksLine: {"index": 0, "rung": "#37", "answers": {"reviews": {"predictions": _RANKED}}},
    LastLine: {"id": _ID, "model": _MODEL, **_END},
    TaskList: {
        "tasks": [{"name": "reviews", "kind": "classification", "labels": ["negative", "positive"], "max_length": 256}]
    },
    EmbeddingsResponse: {
        "data": [{"index": 0, "embedding": [0.6, -0.8]}],
        "model": "sentences",
        "usage": {"prompt_tokens": 5, "total_tokens": 5, "truncated": 0},
    },
    LadderInfo: {
        "name": "reviews-and-more",
        "revision": "5f1c0b7a",
        "method": {"name": "task_arithmetic", "parameters": {"scale": 0.4}},
        "tasks": ["reviews"],
        "rungs": [_RUNG],
        "current": _RUNG,
        "budget": 314_572_800,
        "reason": "the largest rung that fits 300 MiB",
        "router": {"accuracy": 0.94, "interval": (0.93, 0.95), "chance": 0.125},
    },
    ErrorBody: {
        "error": {
            "type": "unknown_task",
            "message": "this ladder has no task 'review' (did you mean 'reviews'?)",
            "param": "task",
            "request_id": _ID,
        }
    },
    InferResponse: {
        "model_name": "reviews",
        "model_version": "5f1c0b7a",
        "id": "1",
        "parameters": {"rung": "#37", "ratio": 2.0},
        "outputs": [
            {"name": "logits", "datatype": "FP32", "shape": [1, 2], "data": _LOGITS},
            {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["positive"]},
        ],
    },
    ServerMetadata: {"name": "mergeladder", "version": "0.1.0", "extensions": ["binary_tensor_data"]},
    ModelMetadata: _METADATA,
    ModelList: {"models": ["reviews"]},
    ModelReady: {"name": "reviews", "ready": True},
    Health: {"live": True, "ready": True},
    ProtocolError: {"error": "this ladder has no task 'review' (did you mean 'reviews'?)"},
}
# Beside the requests' own, where the ladder has a router.
ROUTED: Mapping[type[BaseModel], dict[str, Any]] = {
    TasksRequest: {"inputs": ["a fine film", "the final whistle"], "tasks": "auto", "parameters": {"top_k": 1}},
}
# In place of those above, and of the requests' own, where the ladder is of images.
OF_IMAGES: Mapping[type[BaseModel], dict[str, Any]] = {
    TaskRequest: {"inputs": [{"image": _PIXEL}], "parameters": {"top_k": 2}},
    TasksRequest: {"inputs": [{"image": _PIXEL}], "tasks": "all"},
    InferRequest: {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [_PIXEL]}]},
    ModelMetadata: _METADATA | {"inputs": [_TEXT | {"name": "image"}]},
}
