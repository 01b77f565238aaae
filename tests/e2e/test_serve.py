"""The whole product: `mergeladder serve` on a real Ray Serve, asked over HTTP by clients that nobody here wrote."""

import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tritonclient.http as triton

from merge_builder.ladder import select
from merge_builder.ladder.router import Router
from merge_builder.tuning.neulig.publishing import publish_router
from merge_builder.tuning.neulig.router_report import judged

pytestmark = pytest.mark.e2e

TASKS = ("mood", "topic", "intent")
TEXTS = [
    ("w1", None),
    ("w7 w8 w9 nothing-known", None),
    (" ".join(f"w{n % 95}" for n in range(200)), None),  # cut to the longest that the tasks take
    ("w3 w4 w5 w6", "w90 w91"),
    (" ".join(f"w{n}" for n in range(30)), "w2"),
]


@pytest.fixture(scope="module")
def routed_ladder(ladder, tmp_path_factory):
    """With a router that gives w0 to w9 to mood, the next ten words to topic, and those behind them to intent."""
    tokens = np.zeros((100, len(TASKS)), np.float32)
    for number in range(len(TASKS)):
        tokens[5 + 10 * number : 15 + 10 * number, number] = 6
    out = tmp_path_factory.mktemp("routed") / "ladder"
    report = judged(out, {task: np.array([True, False]) for task in TASKS}, 0, 6)
    router = Router(TASKS, tokens, np.zeros(len(TASKS), np.float32))
    return publish_router(ladder, out, router, report, 32, dict.fromkeys(TASKS, "0" * 64))


@pytest.fixture(scope="module", params=["#0", "2.0", "1"])
def asked_rung(request):
    return request.param


@pytest.fixture(scope="module")
def rung(asked_rung, routed_ladder):
    return select(routed_ladder.manifest, asked_rung)


@pytest.fixture(scope="module")
def served(asked_rung, serve, routed_ladder):
    with serve(str(routed_ladder.root), "--rung", asked_rung) as server:
        yield server


def as_json(text):
    return {"text": text[0], "text_pair": text[1]}


def ask(served, task, texts):
    body = {"inputs": [as_json(text) for text in texts], "parameters": {"return_logits": True}}
    return served.client.post(f"/v1/tasks/{task}/predict", json=body).raise_for_status().json()


def test_the_ladder_tells_the_rung_and_why(served, rung, ladder):
    told = served.client.get("/v1/ladder").raise_for_status().json()
    assert told["current"]["index"] == rung.index
    assert told["current"]["bytes"] == rung.bytes
    assert "the operator named" in told["reason"]
    assert served.client.get("/v1/tasks").json()["tasks"][0]["labels"] == list(ladder.manifest.tasks[0].labels)


@pytest.mark.parametrize("task", TASKS)
def test_single_requests_equal_transformers_on_the_exported_rung(served, rung, expected_logits, task):
    for text in TEXTS:
        answer = ask(served, task, [text])
        assert answer["model"]["rung"] == f"#{rung.index}"
        np.testing.assert_allclose(answer["logits"], expected_logits(rung.index, task, [text]), atol=1e-4)


def test_a_load_that_mixes_tasks_and_lengths_equals_transformers(served, rung, expected_logits):
    requests = [(TASKS[n % 3], TEXTS[n % 5 :] + TEXTS[: n % 4]) for n in range(48)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda request: ask(served, *request), requests))
    for (task, texts), answer in zip(requests, answers, strict=True):
        np.testing.assert_allclose(answer["logits"], expected_logits(rung.index, task, texts), atol=1e-4)


def test_one_text_for_all_tasks(served, rung, expected_logits):
    body = {"inputs": [as_json(text) for text in TEXTS], "tasks": "all", "parameters": {"return_logits": True}}
    answer = served.client.post("/v1/predict", json=body).raise_for_status().json()
    assert set(answer["results"]) == set(TASKS)
    for task, result in answer["results"].items():
        np.testing.assert_allclose(result["logits"], expected_logits(rung.index, task, TEXTS), atol=1e-4)
    assert answer["usage"] == ask(served, "mood", TEXTS)["usage"]  # a text counts once, whatever is asked of it


def test_requests_that_name_no_task_are_routed(served, rung, expected_logits):
    texts = ["w1 w2 w3", "w21 w22 w23", "w1 w2 w11 w12"]
    body = {"inputs": texts, "tasks": "auto", "parameters": {"return_logits": True}}
    answer = served.client.post("/v1/predict", json=body).raise_for_status().json()
    assert [list(own) for own in answer["answers"]] == [["mood"], ["intent"], ["mood", "topic"]]
    assert answer["answers"][0]["mood"]["confidence"] > 0.9
    for text, own in zip(texts, answer["answers"], strict=True):
        for task, one in own.items():
            expected = expected_logits(rung.index, task, [(text, None)])
            np.testing.assert_allclose([one["logits"]], expected, atol=1e-4)


def test_tritons_client_lists_and_calls_a_task(served, rung, expected_logits):
    texts = [text for text in TEXTS if text[1] is None]
    client = triton.InferenceServerClient(f"127.0.0.1:{served.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("topic")
    assert [model["name"] for model in client.get_model_repository_index()] == list(TASKS)
    assert client.get_model_metadata("topic")["name"] == "topic"
    column = triton.InferInput("text", [len(texts)], "BYTES")
    column.set_data_from_numpy(np.array([text.encode() for text, _ in texts], dtype=np.object_))
    result = client.infer("topic", [column])
    expected = expected_logits(rung.index, "topic", texts)
    np.testing.assert_allclose(result.as_numpy("logits"), expected, atol=1e-4)
    labels = np.array(["art", "law", "sea"])[expected.argmax(axis=1)]
    assert [label.decode() for label in result.as_numpy("label")] == list(labels)


def test_metrics_count_what_was_asked(served, rung):
    ask(served, "intent", TEXTS)
    metrics = served.client.get("/metrics").raise_for_status().text
    # One replica answers for all of the node, each under a label of its own.
    (counted,) = re.findall(r'^mergeladder_inputs_total\{replica="\w+",task="intent"\} (\S+)$', metrics, re.MULTILINE)
    assert float(counted) >= len(TEXTS)
    assert f'rung="#{rung.index}"' in metrics


def test_what_is_wrong_has_its_own_status_and_names_the_culprit(served):
    unknown = served.client.post("/v1/tasks/moot/predict", json={"inputs": ["w1"]})
    assert unknown.status_code == 404
    assert "mood" in unknown.json()["error"]["message"]
    malformed = served.client.post("/v1/tasks/mood/predict", content=b"{")
    assert malformed.status_code == 400
    assert set(malformed.json()["error"]) >= {"type", "message", "param", "request_id"}


def test_ctrl_c_answers_what_is_under_way_and_leaves_with_0(served):
    """Ends the server: keep it last. Half of a request is there when Ctrl-C comes, the rest only after it."""
    body = json.dumps({"inputs": ["w1 w2"]}).encode()
    lines = ["POST /v1/tasks/mood/predict HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", "Connection: close"]
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body[:5])
        time.sleep(1)
        served.interrupt()
        time.sleep(1)
        connection.sendall(body[5:])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"predictions" in answer
    code, printed = served.wait()
    assert code == 0
    assert printed == "stopping: requests that are under way are answered first\n"
