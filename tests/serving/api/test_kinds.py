"""Every kind of task over HTTP, from one mixed ladder, against the engine and rules that have tests of their own."""

import base64
import json
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest

from merge_builder.ladder import Ladder, rung_at
from serving.api.app import create_app
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Encoded
from serving.service import Choice, Service

pytestmark = pytest.mark.anyio
TEXT = "Ann, ringing of Lonton"
LONG = "Ann of the " * 40


@pytest.fixture(scope="module")
def mixed(mixed_ladder: Ladder) -> Engine:
    return load_engine(mixed_ladder, rung_at(mixed_ladder.manifest, len(mixed_ladder.manifest.rungs) - 1))


@pytest.fixture
async def served(mixed: Engine) -> AsyncIterator[Service]:
    service = Service(mixed, Choice(budget=None, reason="asked for"))
    await service.start()
    yield service
    await service.aclose()


@pytest.fixture
async def client(served: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(served)), base_url="http://test") as client:
        yield client


async def ask(client: httpx.AsyncClient, path: str, status: int = 200, **body: object) -> dict:
    response = await client.post(path, json=body)
    assert response.status_code == status, response.text
    return response.json()


def vector(engine: Engine, text: str) -> np.ndarray:
    [ids] = engine.tokenizer.encode([text], None, max_length=40, truncate=True)
    return engine.run([Encoded(ids.input_ids, ids.token_type_ids, ("sense",))]).logits[0]["sense"]


async def test_tasks_tell_their_kind(client: httpx.AsyncClient) -> None:
    tasks = (await client.get("/v1/tasks")).json()["tasks"]
    assert {task["name"]: (task["kind"], len(task["labels"])) for task in tasks} == {
        "mood": ("classification", 2),
        "names": ("token_classification", 6),
        "find": ("question_answering", 0),
        "sense": ("embedding", 0),
    }


async def test_words_of_a_text_and_of_a_list(client: httpx.AsyncClient) -> None:
    words = TEXT.split()
    answer = await ask(client, "/v1/tasks/names/predict", inputs=[TEXT, {"words": words}, LONG])

    assert list(answer) == ["id", "task", "model", "words", "truncated", "usage", "timings_ms"]
    text, listed, long = answer["words"]
    assert [word["word"] for word in text] == ["Ann", ",", "ringing", "of", "Lonton"]
    assert [(word["index"], word["word"]) for word in listed] == list(enumerate(words))
    for word in (*text, *listed):
        assert TEXT[word["start"] : word["end"]] == word["word"]
    assert [text[0][key] for key in ("label", "score")] == [listed[0][key] for key in ("label", "score")]
    assert answer["truncated"] == [False, False, True]
    assert len(long) < len(LONG.split())
    assert answer["usage"]["truncated"] > 0
    await ask(client, "/v1/tasks/names/predict", 422, inputs=[LONG], parameters={"truncate": False})


async def test_entities_by_strategy(client: httpx.AsyncClient) -> None:
    async def entities(strategy: str) -> list[dict]:
        parameters = {"aggregation_strategy": strategy, "return_logits": True}
        answer = await ask(client, "/v1/tasks/names/predict", inputs=[TEXT], parameters=parameters)
        assert np.shape(answer["logits"]) == (1, answer["usage"]["tokens"], 6)
        return answer["entities"][0]

    grouped, single = await entities("simple"), await entities("none")
    assert {tuple(entity) for entity in grouped} == {("entity_group", "score", "word", "start", "end")}
    assert {tuple(entity) for entity in single} == {("entity", "score", "index", "word", "start", "end")}
    assert len(single) >= len(grouped) > 0
    problem = await ask(
        client, "/v1/tasks/names/predict", 422, inputs=[TEXT], parameters={"aggregation_strategy": "most"}
    )
    assert problem["error"]["param"] == "parameters.aggregation_strategy"


async def test_a_text_without_entities_says_so(client: httpx.AsyncClient) -> None:
    async def ask_for(*texts: str) -> list[list[dict]]:
        parameters = {"aggregation_strategy": "simple"}
        return (await ask(client, "/v1/tasks/names/predict", inputs=list(texts), parameters=parameters))["entities"]

    letters = [chr(place) for place in range(ord("a"), ord("z") + 1)]
    found = dict(zip(letters, await ask_for(*letters), strict=True))
    none = next(letter for letter, entities in found.items() if not entities)
    some = next(letter for letter, entities in found.items() if entities)
    assert await ask_for(none, some) == [[], found[some]]
    assert await ask_for(none) == [[]]


async def test_answers_to_questions(client: httpx.AsyncClient) -> None:
    asked = {"question": "the ringing", "context": LONG}
    parameters = {"top_k": 3, "max_answer_len": 4, "doc_stride": 5}
    answer = await ask(client, "/v1/tasks/find/predict", inputs=[asked], parameters=parameters)

    [spans] = answer["answers"]
    assert len(spans) == 3
    assert sorted((span["score"] for span in spans), reverse=True) == [span["score"] for span in spans]
    assert all(LONG[span["start"] : span["end"]] == span["answer"] != "" for span in spans)
    assert answer["usage"]["truncated"] == 0
    [one] = (await ask(client, "/v1/tasks/find/predict", inputs=[asked]))["answers"]
    assert len(one) == 1


async def test_embeddings_in_openais_shape(client: httpx.AsyncClient, mixed: Engine) -> None:
    answer = await ask(client, "/v1/embeddings", model="sense", input=[TEXT, "of"])
    assert {key: answer[key] for key in ("object", "model")} == {"object": "list", "model": "sense"}
    assert [(item["object"], item["index"]) for item in answer["data"]] == [("embedding", 0), ("embedding", 1)]
    for text, item in zip((TEXT, "of"), answer["data"], strict=True):
        np.testing.assert_allclose(item["embedding"], vector(mixed, text), atol=1e-6)
    assert np.linalg.norm(answer["data"][0]["embedding"]) == pytest.approx(1, abs=1e-5)
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 0

    packed = await ask(client, "/v1/embeddings", model="sense", input="of", encoding_format="base64", user="me")
    [item] = packed["data"]
    unpacked = np.frombuffer(base64.b64decode(item["embedding"]), "<f4")
    np.testing.assert_allclose(unpacked, answer["data"][1]["embedding"], atol=1e-6)


@pytest.mark.parametrize(
    ("body", "status", "param", "told"),
    [
        ({"model": "sense", "input": "of", "dimensions": 8}, 422, "dimensions", "cannot be cut to fewer"),
        ({"model": "mood", "input": "of"}, 422, "model", "is a classification and gives no embeddings"),
        ({"model": "sens", "input": "of"}, 404, "model", "did you mean 'sense'"),
        ({"model": "sense", "input": [[1, 2]]}, 422, "input[0]", "should be a string"),
        ({"model": "sense", "input": []}, 422, "input", "at least 1"),
    ],
)
async def test_embeddings_that_are_refused(client, body: dict, status: int, param: str, told: str) -> None:
    error = (await ask(client, "/v1/embeddings", status, **body))["error"]
    assert (error["param"], told in error["message"]) == (param, True), error


async def test_one_text_for_three_kinds_is_computed_once(client: httpx.AsyncClient, mixed: Engine) -> None:
    runs: list[int] = []
    run = mixed.run

    def counting(batch):
        output = run(batch)
        runs.append(output.layer_tokens)
        return output

    service = Service(mixed, Choice(budget=None, reason="asked for"))
    service.batcher._run = counting
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(service)), base_url="http://test") as own:
        answer = await ask(own, "/v1/predict", inputs=[TEXT], tasks=["mood", "names", "sense"])
    await service.aclose()

    assert runs == [2 * answer["usage"]["tokens"]]  # two layers, one version of each
    results = answer["results"]
    assert {task: list(result) for task, result in results.items()} == {
        "mood": ["predictions"],
        "names": ["words", "truncated"],
        "sense": ["embeddings"],
    }
    np.testing.assert_allclose(results["sense"]["embeddings"][0], vector(mixed, TEXT), atol=1e-5)
    alone = await ask(client, "/v1/tasks/names/predict", inputs=[TEXT])
    assert [word["label"] for word in results["names"]["words"][0]] == [word["label"] for word in alone["words"][0]]


async def test_kinds_by_input_and_in_lines(client: httpx.AsyncClient) -> None:
    inputs = [
        {"words": ["Ann", "of"], "tasks": ["names", "sense"]},
        {"question": "of", "context": TEXT, "tasks": ["find", "mood"]},
    ]
    answer = await ask(client, "/v1/predict", inputs=inputs)
    assert [{task: list(one) for task, one in by_task.items()} for by_task in answer["answers"]] == [
        {"names": ["words", "truncated"], "sense": ["embedding"]},
        {"find": ["answers"], "mood": ["predictions"]},
    ]
    headers = {"Accept": "application/x-ndjson"}
    lines = await client.post("/v1/predict", json={"inputs": inputs}, headers=headers)
    first, second, last = map(json.loads, lines.text.splitlines())
    assert [first["answers"], second["answers"]] == answer["answers"]
    assert last["usage"] == answer["usage"]


@pytest.mark.parametrize(
    ("task", "item", "told"),
    [
        ("find", TEXT, 'task \'find\' takes {"question": ..., "context": ...}'),
        ("find", {"question": "of", "context": " "}, "none empty"),
        ("find", {"question": "of " * 40, "context": TEXT}, "the question alone has"),
        ("names", {"text": "of", "text_pair": "the"}, "labels the words of one text"),
        ("names", {"words": []}, "at least 1"),
        ("names", {"words": [" "]}, "has no text"),
        ("sense", TEXT, "POST /v1/embeddings"),
    ],
)
async def test_inputs_of_another_form(client: httpx.AsyncClient, task: str, item: object, told: str) -> None:
    error = (await ask(client, f"/v1/tasks/{task}/predict", 422, inputs=[item]))["error"]
    assert told in error["message"]


def tensor(name: str, *texts: str) -> dict:
    return {"name": name, "datatype": "BYTES", "shape": [len(texts)], "data": list(texts)}


async def test_v2_token_classification(client: httpx.AsyncClient) -> None:
    answer = await ask(client, "/v2/models/names/infer", inputs=[tensor("text", TEXT, "of")])
    outputs = {output["name"]: np.reshape(output["data"], output["shape"]) for output in answer["outputs"]}
    tokens = outputs["label"].shape[1]
    assert {name: array.shape for name, array in outputs.items()} == {
        "logits": (2, tokens, 6),
        "probabilities": (2, tokens, 6),
        "label": (2, tokens),
        "offsets": (2, tokens, 2),
    }
    assert outputs["label"][1].tolist()[4:] == [""] * (tokens - 4)  # [CLS] o ##f [SEP]
    assert outputs["offsets"][1].tolist()[:5] == [[-1, -1], [0, 1], [1, 2], [-1, -1], [-1, -1]]
    words = (await ask(client, "/v1/tasks/names/predict", inputs=[TEXT]))["words"][0]
    starts = outputs["offsets"][0, :, 0].tolist()
    assert [outputs["label"][0, starts.index(word["start"])] for word in words] == [word["label"] for word in words]


async def test_v2_token_ids(client: httpx.AsyncClient) -> None:
    ids = {"name": "input_ids", "datatype": "INT64", "shape": [1, 4], "data": [[2, 7, 8, 3]]}
    answer = await ask(client, "/v2/models/names/infer", inputs=[ids])
    shapes = {output["name"]: output["shape"] for output in answer["outputs"]}
    assert shapes == {"logits": [1, 4, 6], "probabilities": [1, 4, 6], "label": [1, 4], "offsets": [1, 4, 2]}
    assert set(answer["outputs"][3]["data"]) == {-1}
    problem = await ask(client, "/v2/models/find/infer", 422, inputs=[ids])
    assert "task 'find' tells places in a text" in problem["error"]


async def test_v2_answers_and_embeddings(client: httpx.AsyncClient, mixed: Engine) -> None:
    inputs = [tensor("text", "of", "the"), tensor("text_pair", TEXT, LONG)]
    answer = await ask(client, "/v2/models/find/infer", inputs=inputs, parameters={"max_answer_len": 3})
    found = {output["name"]: output["data"] for output in answer["outputs"]}
    simple = await ask(
        client,
        "/v1/tasks/find/predict",
        inputs=[{"text": "of", "text_pair": TEXT}, {"question": "the", "context": LONG}],
        parameters={"max_answer_len": 3},
    )
    for place, [span] in enumerate(simple["answers"]):
        assert {name: values[place] for name, values in found.items()} == pytest.approx(span)

    answer = await ask(client, "/v2/models/sense/infer", inputs=[tensor("text", TEXT)])
    [output] = answer["outputs"]
    np.testing.assert_allclose(output["data"], vector(mixed, TEXT), atol=1e-6)
    problem = await ask(
        client, "/v2/models/sense/infer", 422, inputs=[tensor("text", TEXT)], outputs=[{"name": "logits"}]
    )
    assert problem["error"] == "output 'logits' is none of this model's: it has embedding"
    metadata = (await client.get("/v2/models/find")).json()
    assert metadata["parameters"] == {"kind": "question_answering"}
    assert [output["name"] for output in metadata["outputs"]] == ["answer", "score", "start", "end"]
