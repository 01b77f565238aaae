"""NVIDIA's client, which nobody here wrote, against a real server on a real port."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from merge_builder.ladder import Ladder, rung_at
from serving.api.app import create_app
from serving.engine.engine import Engine, load_engine
from serving.service import Choice, Service

from ..conftest import running

TEXTS = ["w1 w2", "w3", "w4 w5 w6"]


@pytest.fixture(scope="module")
def client(pico_ladder: Ladder, middle_rung: int) -> Iterator[triton.InferenceServerClient]:
    engine = load_engine(pico_ladder, rung_at(pico_ladder.manifest, middle_rung))
    with running(create_app(Service(engine, Choice(None, "asked for"))), 0) as url:
        client = triton.InferenceServerClient(url.removeprefix("http://"))
        yield client
        client.close()


def bytes_input(name: str, texts: list[str], *, binary: bool) -> triton.InferInput:
    tensor = triton.InferInput(name, [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=object), binary_data=binary)
    return tensor


def test_it_lists_the_tasks_and_their_metadata(client: triton.InferenceServerClient, engine: Engine) -> None:
    revision = engine.ladder.manifest.revision

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["name"] == "mergeladder"
    assert client.get_model_repository_index() == [
        {"name": task, "version": revision, "state": "READY", "reason": ""} for task in ("ant", "bee", "cat")
    ]
    assert client.is_model_ready("bee")
    assert client.is_model_ready("bee", revision)
    assert not client.is_model_ready("wasp")
    assert client.get_model_metadata("bee")["outputs"][0] == {"name": "logits", "datatype": "FP32", "shape": [-1, 3]}


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_it_asks_several_inputs(
    client: triton.InferenceServerClient, ask, binary_in: bool, binary_out: bool | None
) -> None:
    names = ("label", "logits", "probabilities")
    outputs = None
    if binary_out is not None:
        outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in names]
    result = client.infer("bee", [bytes_input("text", TEXTS, binary=binary_in)], outputs=outputs, request_id="r1")
    expected = np.stack([ask("bee", text) for text in TEXTS])
    probabilities = result.as_numpy("probabilities")
    labels = result.as_numpy("label").tolist()

    np.testing.assert_allclose(result.as_numpy("logits"), expected, atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert (probabilities.argmax(1) == expected.argmax(1)).all()
    assert [x.decode() if isinstance(x, bytes) else x for x in labels] == [
        ("low", "mid", "high")[best] for best in expected.argmax(1)
    ]
    assert result.get_response()["id"] == "r1"
    assert result.get_response()["parameters"]["rung"].startswith("#")


def test_it_asks_for_a_pair_and_gets_only_the_output_it_wants(client: triton.InferenceServerClient, ask) -> None:
    inputs = [bytes_input("text", ["w1"], binary=True), bytes_input("text_pair", ["w2 w3"], binary=False)]
    result = client.infer("ant", inputs, outputs=[triton.InferRequestedOutput("logits")])

    np.testing.assert_allclose(result.as_numpy("logits"), [ask("ant", "w1", "w2 w3")], atol=1e-5)
    assert result.as_numpy("label") is None


def test_it_asks_with_padded_ids(client: triton.InferenceServerClient, ask, engine: Engine) -> None:
    rows = [list(t.input_ids) for t in engine.tokenizer.encode(TEXTS, None, max_length=40, truncate=True)]
    width = max(map(len, rows))
    ids = np.array([row + [0] * (width - len(row)) for row in rows], np.int64)
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows], np.int64)
    inputs = [triton.InferInput(name, list(ids.shape), "INT64") for name in ("input_ids", "attention_mask")]
    inputs[0].set_data_from_numpy(ids)
    inputs[1].set_data_from_numpy(mask, binary_data=False)

    logits = client.infer("cat", inputs).as_numpy("logits")
    np.testing.assert_allclose(logits, [ask("cat", text) for text in TEXTS], atol=1e-5)


def test_it_tells_our_errors(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="no task 'bees'") as unknown:
        client.infer("bees", [bytes_input("text", ["w1"], binary=True)])
    with pytest.raises(InferenceServerException, match=r"inputs\[1\] has no text") as empty:
        client.infer("bee", [bytes_input("text", ["w1", ""], binary=True)])

    assert (unknown.value.status(), empty.value.status()) == ("404", "422")
