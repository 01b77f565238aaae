"""Single requests that are meant to hurt: each is answered as documented, with few words, and the server goes on."""

import json

import httpx
import pytest

from serving.api.app import create_app
from serving.engine.engine import Engine
from serving.service import Choice, Service

pytestmark = pytest.mark.anyio
ONE, MANY, V2 = "/v1/tasks/ant/predict", "/v1/predict", "/v2/models/ant/infer"
MOST = 2 * 1024**2 - 500  # bytes: the most that a body may have, but for some


def v1(*inputs: object, **body: object) -> bytes:
    return json.dumps({"inputs": list(inputs) or ["w1"]} | body).encode()


def repeated(start: bytes, part: bytes, end: bytes) -> bytes:
    return start + part * ((MOST - len(start + end)) // len(part)) + end


def ids(data: bytes, shape: bytes = b"[1, 2]") -> bytes:
    return b'{"inputs":[{"name":"input_ids","datatype":"INT64","shape":%b,"data":%b}]}' % (shape, data)


def tensor(**parts: object) -> bytes:
    return json.dumps(
        {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["w1"]} | parts]}
    ).encode()


HURTING = {
    "half a million inputs": (ONE, repeated(b'{"inputs":[', b'"a",', b'"a"]}'), 413, "too_many_inputs"),
    "a million numbers": (ONE, repeated(b'{"inputs":[', b"1,", b"1]}"), 413, "too_many_inputs"),
    "a million rows of ids": (V2, repeated(b"", b" ", ids(b"[1]", b"[1000001, 1]")), 413, None),
    "more rows than they say": (V2, ids(b"[" + b"1," * 900_000 + b"1]", b"[900001, 1]"), 413, None),
    "unknown keys": (ONE, b'{"a":1,' + b",".join(b'"%d":1' % n for n in range(150_000)) + b"}", 422, "invalid_request"),
    "one key again and again": (ONE, repeated(b"{", b'"inputs":["w1"],', b'"inputs":["w1"]}'), 200, None),
    "one task again and again": (MANY, v1(tasks=["ant"] * 200_000), 200, None),
    "a long name of a task": (MANY, v1(tasks=["a" * MOST]), 404, "unknown_task"),
    "a long name of a tensor": (V2, tensor(name="x" * MOST), 422, None),
    "a long datatype": (V2, tensor(datatype="x" * MOST), 422, None),
    "a long index of a rung": (ONE, v1(parameters={"min_rung": "#" + "1" * 5000}), 422, "invalid_request"),
    "a long ratio": (V2, tensor()[:-1] + b',"parameters":{"min_rung":"%b"}}' % (b"1" * 5000), 422, None),
    "a million characters": (ONE, v1("w1 " * 333_333), 200, None),
    "a word of a million characters": (ONE, v1("w" * 1_000_000), 200, None),
    "two of them": (ONE, v1({"text": "w1 " * 333_333, "text_pair": "w2 " * 333_333}), 200, None),
    "a million that may not be cut": (ONE, v1("w1 " * 333_333, parameters={"truncate": False}), 422, "input_too_long"),
    "two million spaces": (ONE, v1(" " * 2_000_000), 422, "empty_text"),
    "NUL characters": (ONE, v1("\0" * 300_000), 200, None),
    "not a number": (ONE, b'{"inputs":["w1"],"parameters":{"top_k":NaN}}', 422, "invalid_request"),
    "infinity": (ONE, b'{"inputs":["w1"],"parameters":{"top_k":-Infinity}}', 422, "invalid_request"),
    "a number without end": (ONE, b'{"inputs":["w1"],"parameters":{"top_k":1e999}}', 422, "invalid_request"),
    "a long number": (ONE, b'{"inputs":["w1"],"parameters":{"top_k":%b}}' % (b"9" * 5000), 400, "malformed_json"),
    "a large number": (ONE, b'{"inputs":["w1"],"parameters":{"top_k":%b}}' % (b"9" * 50), 200, None),
    "ids that are no numbers": (V2, ids(b"[NaN, 1]"), 422, None),
    "ids without end": (V2, ids(b"[1e999, 1]"), 422, None),
    "ids of 65 bits": (V2, ids(b"[9223372036854775808, 1]"), 422, None),
    "ids below zero": (V2, ids(b"[-1, 1]"), 422, None),
    "ids nested deeply": (V2, ids(b"[" * 100 + b"1" + b"]" * 100, b"[1, 1]"), 422, None),
    "a shape beyond memory": (V2, ids(b"[1]", b"[1000, 1000000000000000000000000]"), 422, None),
    "objects in a tensor": (V2, ids(b"[{}, 1]"), 422, None),
    "a byte order mark": (ONE, b"\xef\xbb\xbf" + v1(), 400, "malformed_json"),
    "UTF-16": (ONE, v1().decode().encode("utf-16"), 400, "malformed_json"),
    "NUL bytes": (ONE, b"\0" * 1000, 400, "malformed_json"),
    "more after the end": (ONE, v1() + b"x", 400, "malformed_json"),
    "spaces after the end": (ONE, v1() + b" " * 1_000_000, 200, None),
}


@pytest.mark.parametrize("name", HURTING)
async def test_requests_that_are_meant_to_hurt(engine: Engine, name: str) -> None:
    path, body, status, kind = HURTING[name]
    service = Service(engine, Choice(None, "asked for"))
    transport = httpx.ASGITransport(create_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.post(path, content=body)
        after = await client.post(ONE, content=v1())
    await service.aclose()

    assert response.status_code == status, response.text[:200]
    if status >= 400:
        assert response.json()["error"] if kind is None else response.json()["error"]["type"] == kind
    assert len(response.content) < 2000
    assert after.status_code == 200


async def test_of_a_key_that_is_there_twice_the_last_counts(client: httpx.AsyncClient) -> None:
    body = b'{"inputs": ["w1"], "inputs": ["w2", "w3"], "parameters": {"top_k": 3, "top_k": 1}}'
    predictions = (await client.post(ONE, content=body)).json()["predictions"]

    assert [len(one) for one in predictions] == [1, 1]
