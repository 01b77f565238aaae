"""Images over HTTP: every way in gives the answers of transformers' own model and processor."""

import asyncio
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping

import httpx
import numpy as np
import pytest

from serving.api.app import MAX_BODY_BYTES, create_app
from serving.engine.engine import Engine
from serving.service import Choice, Service

from ...images import LABELS, TOKENS, Ask, picture

pytestmark = pytest.mark.anyio
LOGITS = {"return_logits": True}


def base64(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    return [{"image": b64encode(file).decode()} for file in files.values()]


def form(files: Mapping[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("image", (name, file)) for name, file in files.items()]


async def test_base64_in_json(client: httpx.AsyncClient, files: dict[str, bytes], expected: Ask) -> None:
    response = await client.post("/v1/tasks/hue/predict", json={"inputs": base64(files), "parameters": LOGITS})
    body = response.json()

    assert response.status_code == 200
    np.testing.assert_allclose(body["logits"], [expected("hue", file) for file in files.values()], atol=1e-4)
    best = [LABELS["hue"][np.argmax(logits)] for logits in body["logits"]]
    assert [ranked[0]["label"] for ranked in body["predictions"]] == best
    assert body["usage"] == {"tokens": TOKENS * len(files), "truncated": 0}


async def test_the_alphabet_of_urls_too(client: httpx.AsyncClient, expected: Ask) -> None:
    file = picture(9)
    text = urlsafe_b64encode(file).decode()
    assert set("-_") & set(text)
    response = await client.post("/v1/tasks/hue/predict", json={"inputs": [{"image": text}], "parameters": LOGITS})
    np.testing.assert_allclose(response.json()["logits"], [expected("hue", file)], atol=1e-4)


async def test_many_tasks_read_an_image_once(client: httpx.AsyncClient, files: dict[str, bytes], expected: Ask) -> None:
    body = {"inputs": base64(files), "tasks": "all", "parameters": LOGITS}
    answer = (await client.post("/v1/predict", json=body)).json()

    assert list(answer["results"]) == list(LABELS)
    for task, result in answer["results"].items():
        np.testing.assert_allclose(result["logits"], [expected(task, file) for file in files.values()], atol=1e-4)
    assert answer["usage"] == {"tokens": TOKENS * len(files), "truncated": 0}


async def test_images_with_tasks_of_their_own(
    client: httpx.AsyncClient, files: dict[str, bytes], expected: Ask
) -> None:
    one, two, *_ = base64(files)
    body = {"inputs": [one | {"tasks": ["size"]}, two], "tasks": ["hue", "shape"], "parameters": LOGITS}
    first, second = (await client.post("/v1/predict", json=body)).json()["answers"]

    assert (list(first), list(second)) == (["size"], ["hue", "shape"])
    np.testing.assert_allclose(first["size"]["logits"], expected("size", files["png"]), atol=1e-4)
    np.testing.assert_allclose(second["shape"]["logits"], expected("shape", files["tall jpeg"]), atol=1e-4)


async def test_a_form_answers_as_its_json_does(client: httpx.AsyncClient, files: dict[str, bytes]) -> None:
    asked = {"top_k": 1, "return_logits": True}
    fields = {"parameters": json.dumps(asked)}
    as_json = await client.post("/v1/tasks/hue/predict", json={"inputs": base64(files), "parameters": asked})
    as_form = await client.post("/v1/tasks/hue/predict", files=form(files), data=fields)
    of_all = await client.post("/v1/predict", files=form(files), data=fields | {"tasks": "all"})
    of_two = await client.post("/v1/predict", files=form(files), data={"tasks": ["hue", "size"]})

    assert as_form.status_code == 200
    assert as_form.json()["predictions"] == as_json.json()["predictions"]
    np.testing.assert_allclose(as_form.json()["logits"], as_json.json()["logits"], atol=1e-6)
    assert list(of_all.json()["results"]) == list(LABELS)
    assert of_all.json()["results"]["hue"]["predictions"] == as_json.json()["predictions"]
    assert list(of_two.json()["results"]) == ["hue", "size"]


async def test_a_stream(client: httpx.AsyncClient, expected: Ask) -> None:
    files = {f"{n}.png": picture(n) for n in range(40)}
    response = await client.post(
        "/v1/tasks/shape/predict",
        files=form(files),
        data={"parameters": json.dumps(LOGITS)},
        headers={"Accept": "application/x-ndjson"},
    )
    *lines, last = map(json.loads, response.text.splitlines())

    assert [line["index"] for line in lines] == list(range(40))
    np.testing.assert_allclose(
        [line["logits"] for line in lines], [expected("shape", file) for file in files.values()], atol=1e-4
    )
    assert last["usage"]["tokens"] == 40 * TOKENS


async def test_v2_tells_that_it_takes_images(client: httpx.AsyncClient) -> None:
    told = (await client.get("/v2/models/hue")).json()
    assert told["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert told["outputs"][0] == {"name": "logits", "datatype": "FP32", "shape": [-1, 3]}


async def test_v2_in_json(client: httpx.AsyncClient, files: dict[str, bytes], expected: Ask) -> None:
    data = [item["image"] for item in base64(files)]
    body = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [len(data)], "data": data}]}
    outputs = (await client.post("/v2/models/size/infer", json=body)).json()["outputs"]
    logits = next(output for output in outputs if output["name"] == "logits")

    assert logits["shape"] == [len(files), 4]
    np.testing.assert_allclose(
        np.reshape(logits["data"], logits["shape"]), [expected("size", file) for file in files.values()], atol=1e-4
    )


async def test_the_documented_examples_work(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    for path, model in (
        ("/v1/predict", "TasksRequest"),
        ("/v1/tasks/hue/predict", "TaskRequest"),
        ("/v2/models/hue/infer", "InferRequest"),
    ):
        for example in schemas[model]["examples"]:
            assert "image" in json.dumps(example)
            assert (await client.post(path, json=example)).status_code == 200
    assert schemas["ModelMetadata"]["examples"][0]["inputs"][0]["name"] == "image"


SECRET = b"confidential-name-of-somebody"


@pytest.mark.parametrize(
    ("file", "status", "kind", "told"),
    [
        (b"", 422, "unreadable_image", "inputs[1] is empty"),
        (SECRET * 9, 422, "unreadable_image", "inputs[1] is no image file of a format that is read"),
        (picture(1)[:90] + SECRET, 422, "unreadable_image", "inputs[1] is damaged or cut off"),
        (picture(1, mode="1", size=(5001, 5000)), 413, "image_too_large", "inputs[1] has 5001 x 5000 pixels"),
        (picture(1, size=(90_000, 1)), 413, "image_too_large", "inputs[1] is too long for its breadth"),
    ],
)
@pytest.mark.parametrize("way", ["json", "form", "lines", "v2"])
async def test_an_image_that_cannot_be_read(
    service: Service, file: bytes, status: int, kind: str, told: str, way: str
) -> None:
    files = {"good": picture(2), "bad": file}
    encoded = [item["image"] for item in base64(files)]
    transport = httpx.ASGITransport(create_app(service, max_body_bytes=10**9))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        if way == "v2":
            tensor = {"name": "image", "datatype": "BYTES", "shape": [2], "data": encoded}
            response = await client.post("/v2/models/hue/infer", json={"inputs": [tensor]})
            message = response.json()["error"]
        else:
            headers = {"Accept": "application/x-ndjson"} if way == "lines" else {}
            sent = {"files": form(files)} if way == "form" else {"json": {"inputs": base64(files)}}
            response = await client.post("/v1/tasks/hue/predict", headers=headers, **sent)
            if way == "lines" and response.status_code == 200:  # the first image was answered before
                error = json.loads(response.text.splitlines()[-1])["error"]
            else:
                assert response.status_code == status
                error = response.json()["error"]
            assert (error["type"], error["param"]) == (kind, "inputs[1]")
            message = error["message"]
    if way != "lines":
        assert response.status_code == status
    assert message.startswith(told)
    assert "confidential" not in response.text


@pytest.mark.parametrize(
    ("body", "status", "param", "told"),
    [
        ({"inputs": ["a text"]}, 422, "inputs[0]", "inputs[0] is a text, and this ladder's tasks take images"),
        ({"inputs": [{"image": "*"}]}, 422, "inputs[0].image", "inputs[0].image: is not base64 (alone"),
        ({"inputs": [{"image": 5}]}, 422, "inputs[0].image", "inputs[0].image: "),
        ({"inputs": [{"image": "", "text": "a"}]}, 422, "inputs[0].text", "inputs[0].text: is not a known key"),
        ({"inputs": 1025 * [{"image": ""}]}, 413, "inputs", "the request has 1025 inputs"),
    ],
)
async def test_bad_requests(
    client: httpx.AsyncClient, body: dict[str, object], status: int, param: str, told: str
) -> None:
    response = await client.post("/v1/tasks/hue/predict", json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)
    assert response.json()["error"]["message"].startswith(told)


async def test_too_many_tokens_and_too_many_pixels_are_refused_before_anything_is_decoded(
    engine: Engine, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = Service(engine, Choice(None, "asked for"), max_request_tokens=4 * TOKENS)
    await strict.start()

    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("serving.images.encode.to_rgb", never)
    small, large = picture(1), picture(1, size=(6000, 4000))
    transport = httpx.ASGITransport(create_app(strict))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as limited:
        tokens = await limited.post("/v1/tasks/hue/predict", files=form({str(n): small for n in range(5)}))
        of_tasks = await limited.post("/v1/predict", files=form({"a": small, "b": small}), data={"tasks": "all"})
    pixels = await client.post("/v1/tasks/hue/predict", files=form({str(n): large for n in range(5)}))
    await strict.aclose()

    assert [r.status_code for r in (tokens, of_tasks, pixels)] == [413, 413, 413]
    assert [r.json()["error"]["type"] for r in (tokens, of_tasks, pixels)] == 3 * ["request_too_large"]
    assert "130 tokens" in tokens.json()["error"]["message"]
    assert "156 tokens" in of_tasks.json()["error"]["message"]
    assert "120000000 pixels" in pixels.json()["error"]["message"]


async def test_a_body_may_be_as_large_as_photos_are(client: httpx.AsyncClient) -> None:
    most = MAX_BODY_BYTES["image"]
    fits = await client.post("/v1/tasks/hue/predict", content=b" " * most)
    larger = await client.post("/v1/tasks/hue/predict", content=b" " * (most + 1))
    assert (fits.status_code, larger.status_code) == (400, 413)
    assert larger.json()["error"]["type"] == "body_too_large"


async def test_the_loop_goes_on_while_an_image_is_decoded(client: httpx.AsyncClient) -> None:
    file = picture(1, size=(5000, 4000))
    request = asyncio.create_task(client.post("/v1/tasks/hue/predict", files=form({"large": file})))
    turns = 0
    while not request.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert (await request).status_code == 200
    assert turns > 10
