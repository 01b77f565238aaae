"""Our client and NVIDIA's, over a real port, with images."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from merge_builder.ladder import Ladder, rung_at
from serving.api.app import create_app
from serving.client import (
    AsyncClient,
    BodyTooLarge,
    Client,
    ImageInput,
    InvalidRequest,
    MergeLadderApiError,
    NoRouter,
    TasksImageInput,
    UnknownTask,
    UnreadableImage,
)
from serving.engine.engine import Engine, load_engine
from serving.service import Choice, Service

from ...images import LABELS, TOKENS, Ask, picture
from ..conftest import running


@pytest.fixture(scope="module")
def url(image_ladder: Ladder, rung: int) -> Iterator[str]:
    engine = load_engine(image_ladder, rung_at(image_ladder.manifest, rung))
    with running(create_app(Service(engine, Choice(None, "asked for"))), 0) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path, files: dict[str, bytes]) -> Path:
    for name, file in files.items():
        (tmp_path / name).write_bytes(file)
    return tmp_path


def test_paths_bytes_and_models_are_images(url: str, folder: Path, files: dict[str, bytes], expected: Ask) -> None:
    inputs = [folder / "png", files["webp"], {"image": folder / "gif"}, ImageInput(image=files["tall jpeg"])]
    with Client(url) as client:
        answer = client.predict("hue", inputs, return_logits=True)
        many = client.predict_many(inputs, return_logits=True)
    names = ("png", "webp", "gif", "tall jpeg")

    assert answer.logits is not None
    np.testing.assert_allclose(answer.logits, [expected("hue", files[name]) for name in names], atol=1e-4)
    assert answer.usage.tokens == 4 * TOKENS
    for task, result in many.results.items():
        assert result.logits is not None
        np.testing.assert_allclose(result.logits, [expected(task, files[name]) for name in names], atol=1e-4)


def test_images_with_tasks_of_their_own(url: str, folder: Path, files: dict[str, bytes], expected: Ask) -> None:
    mixed = [
        {"image": folder / "webp", "tasks": ["size"]},
        {"image": files["png"], "tasks": "all"},
        TasksImageInput(image=files["gif"], tasks=["shape"]),
    ]
    with Client(url) as client:
        answers = client.predict_each(mixed, return_logits=True).answers
        lines = list(client.stream(mixed, tasks=None, return_logits=True))

    assert [set(answer) for answer in answers] == [{"size"}, set(LABELS), {"shape"}]
    for found in (answers, [line.answers for line in lines]):
        np.testing.assert_allclose(found[0]["size"].logits, expected("size", files["webp"]), atol=1e-4)
        np.testing.assert_allclose(found[1]["hue"].logits, expected("hue", files["png"]), atol=1e-4)
        np.testing.assert_allclose(found[2]["shape"].logits, expected("shape", files["gif"]), atol=1e-4)


@pytest.mark.anyio
async def test_without_waiting_too(url: str, folder: Path, files: dict[str, bytes], expected: Ask) -> None:
    async with AsyncClient(url) as client:
        answer = await client.predict("hue", [folder / "png"], return_logits=True)
        lines = [line async for line in client.stream([folder / "webp"], ["hue"], return_logits=True)]

    np.testing.assert_allclose(answer.logits, [expected("hue", files["png"])], atol=1e-4)
    np.testing.assert_allclose(lines[0].answers["hue"].logits, expected("hue", files["webp"]), atol=1e-4)


def test_images_go_as_a_form_and_bytes_are_a_third_less(
    engine: Engine, serve: Callable[..., str], expected: Ask
) -> None:
    file = picture(1, "BMP", size=(30, 30))
    limit = 5 * len(file)  # base64 of four would be larger
    app = create_app(Service(engine, Choice(None, "asked for")), max_body_bytes=limit)
    assert 4 * len(b64encode(file)) > limit
    inputs = [file, ImageInput(image=file), TasksImageInput(image=file), {"image": file}]
    with Client(serve(app)) as client:
        answer = client.predict("hue", inputs, return_logits=True)
        named = client.predict_many(inputs, ["size", "hue"], top_k=1)
        *lines, last = client.stream(inputs, return_logits=True)
        with pytest.raises(BodyTooLarge):  # tasks of its own go in JSON
            client.predict_each([*inputs[:3], {"image": file, "tasks": ["hue"]}])

    np.testing.assert_allclose(answer.logits, 4 * [expected("hue", file)], atol=1e-4)
    assert list(named.results) == ["size", "hue"]
    assert [[len(ranked) for ranked in one.predictions] for one in named.results.values()] == 2 * [4 * [1]]
    assert len(lines) == 3
    np.testing.assert_allclose(last.answers["size"].logits, expected("size", file), atol=1e-4)


@pytest.mark.parametrize(
    ("inputs", "tasks", "kind", "param"),
    [
        ([picture(1)], ["all"], UnknownTask, "tasks[0]"),
        ([picture(1)], [], InvalidRequest, "tasks"),
        ([picture(1)], ["hue", "hues"], UnknownTask, "tasks[1]"),
        ([picture(1)], "auto", NoRouter, "tasks"),
        ([], ["hue"], InvalidRequest, "inputs"),
        ([picture(1), "a text"], ["hue"], InvalidRequest, "inputs[1]"),
        ([{"image": "no base64"}], ["hue"], InvalidRequest, "inputs[0].image"),
        ([{"image": picture(1), "text": "a"}], ["hue"], InvalidRequest, "inputs[0].text"),
    ],
)
def test_errors_are_the_same_whether_it_is_a_form_or_not(
    url: str, inputs: list, tasks: list[str] | str, kind: type[MergeLadderApiError], param: str
) -> None:
    with Client(url) as client, pytest.raises(kind) as refused:
        client.predict_many(inputs, tasks)
    assert refused.value.param == param


def test_what_is_wrong_with_an_image_is_told_by_its_place(url: str, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no image")
    with Client(url) as client:
        with pytest.raises(UnreadableImage, match=r"inputs\[1\] is no image file") as refused:
            client.predict("hue", [picture(1), tmp_path / "no.png"])
        with pytest.raises(FileNotFoundError):
            client.predict("hue", [tmp_path / "nowhere.png"])
    assert (refused.value.param, refused.value.status) == ("inputs[1]", 422)


@pytest.mark.parametrize("binary", [True, False])
def test_triton_s_client_sends_files_as_bytes(url: str, files: dict[str, bytes], expected: Ask, binary: bool) -> None:
    client = triton.InferenceServerClient(url.removeprefix("http://"))
    tensor = triton.InferInput("image", [len(files)], "BYTES")
    sent = list(files.values())
    if not binary:  # in JSON its strings are UTF-8, so that bytes go as base64
        sent = [b64encode(file) for file in sent]
    tensor.set_data_from_numpy(np.array(sent, dtype=object), binary_data=binary)
    result = client.infer("shape", [tensor])

    np.testing.assert_allclose(
        result.as_numpy("logits"), [expected("shape", file) for file in files.values()], atol=1e-4
    )
    assert client.get_model_metadata("shape")["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    text = triton.InferInput("text", [1], "BYTES")
    text.set_data_from_numpy(np.array([b"a text"], dtype=object))
    with pytest.raises(InferenceServerException, match="'text' is not an input of this model: it takes image"):
        client.infer("shape", [text])
    client.close()
