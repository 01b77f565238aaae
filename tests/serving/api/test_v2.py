"""The /v2 routes, as plain HTTP; see test_triton_client for a client of the protocol."""

import json

import httpx
import numpy as np
import pytest

from serving.engine.engine import Engine

pytestmark = pytest.mark.anyio
TEXT = {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["w1 w2", "w3"]}
LABELS = ["low", "mid", "high"]


async def test_json_in_and_out(client: httpx.AsyncClient, ask, engine: Engine) -> None:
    response = await client.post("/v2/models/bee/infer", json={"id": "abc", "inputs": [TEXT]})
    body = response.json()
    expected = np.stack([ask("bee", "w1 w2"), ask("bee", "w3")])
    logits, probabilities, label = body.pop("outputs")

    assert response.status_code == 200
    assert body == {
        "model_name": "bee",
        "model_version": engine.ladder.manifest.revision,
        "id": "abc",
        "parameters": {"rung": engine.rung.name, "ratio": engine.rung.size.ratio},
    }
    assert (logits["name"], logits["datatype"], logits["shape"]) == ("logits", "FP32", [2, 3])
    np.testing.assert_allclose(np.reshape(logits["data"], (2, 3)), expected, atol=1e-5)
    assert (probabilities["name"], probabilities["datatype"], probabilities["shape"]) == (
        "probabilities",
        "FP32",
        [2, 3],
    )
    exponentials = np.exp(expected)
    np.testing.assert_allclose(
        np.reshape(probabilities["data"], (2, 3)), exponentials / exponentials.sum(1, keepdims=True), atol=1e-6
    )
    assert label == {
        "name": "label",
        "datatype": "BYTES",
        "shape": [2],
        "data": [LABELS[best] for best in expected.argmax(1)],
    }
    assert response.headers["X-MergeLadder-Rung"] == engine.rung.name
    assert "Inference-Header-Content-Length" not in response.headers


async def test_only_the_outputs_asked_for_each_in_its_own_form(client: httpx.AsyncClient, ask) -> None:
    outputs = [{"name": "label"}, {"name": "logits", "parameters": {"binary_data": True}}]
    response = await client.post("/v2/models/bee/infer", json={"inputs": [TEXT], "outputs": outputs})
    length = int(response.headers["Inference-Header-Content-Length"])
    label, logits = httpx.Response(200, content=response.content[:length]).json()["outputs"]

    assert label["data"]
    assert (logits["parameters"], "data" in logits) == ({"binary_data_size": 24}, False)
    values = np.frombuffer(response.content[length:], "<f4").reshape(2, 3)
    np.testing.assert_allclose(values, [ask("bee", "w1 w2"), ask("bee", "w3")], atol=1e-5)


async def test_a_version_is_the_ladders_revision(client: httpx.AsyncClient, engine: Engine) -> None:
    revision = engine.ladder.manifest.revision
    for path in ("", "/ready"):
        assert (await client.get(f"/v2/models/bee/versions/{revision}{path}")).status_code == 200
        assert (await client.get(f"/v2/models/bee/versions/other{path}")).status_code == 404
    good = await client.post(f"/v2/models/bee/versions/{revision}/infer", json={"inputs": [TEXT]})
    bad = await client.post("/v2/models/bee/versions/other/infer", json={"inputs": [TEXT]})

    assert good.json()["model_version"] == revision
    assert (bad.status_code, bad.json()) == (404, {"error": f"task 'bee' has no version 'other': it has {revision!r}"})


async def test_metadata_and_health(client: httpx.AsyncClient, engine: Engine) -> None:
    get = {path: (await client.get("/v2" + path)).json() for path in ("", "/health/live", "/health/ready", "/models")}
    model = (await client.get("/v2/models/bee")).json()

    assert (get[""]["name"], get[""]["extensions"]) == ("mergeladder", ["binary_tensor_data"])
    assert get["/health/live"] == get["/health/ready"] == {"live": True, "ready": True}
    assert get["/models"] == {"models": ["ant", "bee", "cat"]}
    assert model["versions"] == [engine.ladder.manifest.revision]
    assert {(t["name"], t["datatype"], *t["shape"]) for t in model["inputs"]} == {
        ("text", "BYTES", -1),
        ("text_pair", "BYTES", -1),
        ("input_ids", "INT64", -1, -1),
        ("attention_mask", "INT64", -1, -1),
    }
    assert {(t["name"], t["datatype"], *t["shape"]) for t in model["outputs"]} == {
        ("logits", "FP32", -1, 3),
        ("probabilities", "FP32", -1, 3),
        ("label", "BYTES", -1),
    }
    assert (await client.get("/v2/models/bee/ready")).json() == {"name": "bee", "ready": True}


LONG = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [" ".join(["w1"] * 20)]}
IDS = {"name": "input_ids", "datatype": "INT64", "shape": [1, 2], "data": [2, 100]}
BAD = [
    ("bees", {"inputs": [TEXT]}, 404, "no task 'bees'"),
    ("bee", b'{"inputs": [', 400, "not JSON"),
    ("bee", {"inputs": []}, 422, "inputs: "),
    ("bee", {"inputs": [TEXT], "output": []}, 422, "output: is not a known key"),
    ("bee", {"inputs": [TEXT], "outputs": [{"name": "scores"}]}, 422, "outputs[0].name: "),
    (
        "bee",
        {"inputs": [TEXT], "outputs": [{"name": "logits", "parameters": {"classification": 2}}]},
        422,
        "outputs[0].parameters.classification",
    ),
    ("bee", {"inputs": [TEXT | {"datatype": "FP32"}]}, 422, "input 'text' has datatype 'FP32'"),
    ("bee", {"inputs": [TEXT | {"data": ["w1", " "]}]}, 422, "inputs[1] has no text"),
    (
        "bee",
        {"inputs": [LONG], "parameters": {"truncate": False}},
        422,
        "inputs[0] has 22 tokens and task 'bee' takes 8",
    ),
    ("bee", {"inputs": [IDS]}, 422, "inputs[0]: an input has a token id out of range"),
    (
        "bee",
        {"inputs": [IDS | {"shape": [1, 9], "data": [5] * 9}]},
        422,
        "inputs[0] has 9 tokens and task 'bee' takes 8",
    ),
    ("bee", {"inputs": [TEXT], "parameters": {"min_rung": "#0"}}, 503, "at least #0"),
    ("bee", {"inputs": [TEXT | {"data": ["w1 " * 2000]}]}, 413, "4096 bytes"),
]


@pytest.mark.parametrize(("task", "body", "status", "named"), BAD)
async def test_bad_requests_have_the_protocols_own_body(
    client: httpx.AsyncClient, task: str, body: dict | bytes, status: int, named: str
) -> None:
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    response = await client.post(f"/v2/models/{task}/infer", **content)

    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert named in response.json()["error"]
    assert response.headers["X-Request-Id"]


async def test_unknown_parameters_are_left_to_others(client: httpx.AsyncClient) -> None:
    body = {"inputs": [TEXT], "parameters": {"sequence_id": 7, "priority": 1}}

    assert (await client.post("/v2/models/bee/infer", json=body)).status_code == 200


async def test_nesting_and_bytes_that_are_no_text_are_400_or_422(client: httpx.AsyncClient) -> None:
    def nested(depth: int) -> bytes:
        data = b"[" * depth + b"1" + b"]" * depth
        return b'{"inputs": [{"name": "input_ids", "datatype": "INT64", "shape": [1, 1], "data": ' + data + b"}]}"

    assert (await client.post("/v2/models/ant/infer", content=nested(100))).status_code == 422
    assert (await client.post("/v2/models/ant/infer", content=nested(1000))).status_code == 400

    text = {"name": "text", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 5}}
    body = json.dumps({"inputs": [text]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(body))}
    response = await client.post("/v2/models/ant/infer", content=body + b"\1\0\0\0\xff", headers=headers)
    assert (response.status_code, response.json()["error"]) == (400, "input 'text' is not valid UTF-8 at element 0")
