"""Tasks whose experts prepare images each in its own way, over HTTP.

The oracle is transformers' own model and own processor, over what `merge_builder.export` makes of each task.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from transformers import BitImageProcessorPil

from merge_builder.build import build
from merge_builder.errors import InputError, MergeLadderError
from merge_builder.ladder import Ladder, rung_at
from merge_builder.recipe import load_recipe
from serving.api.app import create_app
from serving.engine.engine import load_engine
from serving.images import encode
from serving.inputs import ImageFile
from serving.service import Choice, Service
from serving.streaming import stream

from ...images import LABELS, TOKENS, Ask, build_ladder, picture, processor, transformers_answers, write_checkpoints

pytestmark = pytest.mark.anyio
FILES = {"wide": picture(1), "tall": picture(2, "JPEG", size=(33, 90)), "tiny": picture(8, "BMP", size=(3, 2))}
SMALL = 1 + 3 * 3  # tokens of an image of 12 pixels a side


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """`hue` sees less than the base; `size` sees the same, by another configuration; `shape` has none of its own."""
    same = BitImageProcessorPil(**processor().to_dict() | {"do_convert_rgb": False})
    built = build_ladder(tmp_path_factory.mktemp("own"), {"hue": processor(12), "size": same})
    assert [task.preprocessing is None for task in built.manifest.tasks] == [False, True, False]
    return built


@pytest.fixture(scope="module")
def expected(ladder: Ladder, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    return transformers_answers(ladder, _rung(ladder), tmp_path_factory.mktemp("exported"))


def _rung(ladder: Ladder) -> int:
    return len(ladder.manifest.rungs) // 2


def _service(ladder: Ladder, **limits: int) -> Service:
    return Service(load_engine(ladder, rung_at(ladder.manifest, _rung(ladder))), Choice(None, "asked for"), **limits)


async def _predict(service: Service, files: Mapping[str, bytes], tasks: Any = "all") -> dict[str, Any]:
    body = {
        "inputs": [{"image": b64encode(file).decode()} for file in files.values()],
        "tasks": tasks,
        "parameters": {"return_logits": True},
    }
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(service)), base_url="http://test") as client:
        response = await client.post("/v1/predict", json=body)
    answer: dict[str, Any] = response.json() | {"status": response.status_code}
    return answer


async def test_each_task_answers_by_its_own_processor(ladder: Ladder, expected: Ask, tmp_path: Path) -> None:
    service = _service(ladder)
    await service.start()
    answer = await _predict(service, FILES)
    alone = await _predict(service, FILES, ["hue"])
    await service.aclose()

    assert answer["status"] == 200
    for task in LABELS:
        own = [expected(task, file) for file in FILES.values()]
        np.testing.assert_allclose(answer["results"][task]["logits"], own, atol=1e-4)
    np.testing.assert_allclose(alone["results"]["hue"]["logits"], answer["results"]["hue"]["logits"], atol=1e-4)
    assert answer["usage"]["tokens"] == len(FILES) * (TOKENS + SMALL)
    assert alone["usage"]["tokens"] == len(FILES) * SMALL

    by_the_bases = transformers_answers(build_ladder(tmp_path), _rung(ladder), tmp_path / "exported")
    others = [by_the_bases("hue", file) for file in FILES.values()]
    assert not np.allclose(answer["results"]["hue"]["logits"], others, atol=1e-2)


async def test_an_image_is_decoded_once_and_has_a_row_a_processor(
    ladder: Ladder, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Image.Image] = []

    def counted(image: Image.Image) -> Image.Image:
        decoded.append(image)
        return to_rgb(image)

    to_rgb = encode.to_rgb
    monkeypatch.setattr(encode, "to_rgb", counted)
    reader = _service(ladder).reader
    inputs = [ImageFile(FILES["wide"]), ImageFile(FILES["tall"])]
    rows = await reader.read(inputs, [tuple(LABELS), ("size", "shape")], truncate=True, first=3)
    reader.close()

    assert len(decoded) == 2
    assert [(row.place, row.encoded.tasks, row.encoded.length) for row in rows] == [
        (3, ("hue",), SMALL),
        (3, ("shape", "size"), TOKENS),
        (4, ("size", "shape"), TOKENS),
    ]


async def test_a_stream(ladder: Ladder, expected: Ask) -> None:
    service = _service(ladder)
    results = stream(service, [ImageFile(file) for file in FILES.values()], [tuple(LABELS)] * len(FILES))
    answers = [result async for result in results]
    await service.aclose()
    for file, result in zip(FILES.values(), answers, strict=True):
        assert result.tokens == TOKENS + SMALL
        for task in LABELS:
            np.testing.assert_allclose(result.logits[task], [expected(task, file)], atol=1e-4)


async def test_a_request_is_bounded_by_what_its_tasks_are_given(ladder: Ladder) -> None:
    for most, status in ((SMALL + 2 * TOKENS, 200), (SMALL + 2 * TOKENS - 1, 413)):
        service = _service(ladder, max_request_tokens=most)
        answer = await _predict(service, {"one": FILES["wide"]})
        await service.aclose()
        assert answer["status"] == status, answer


@pytest.mark.parametrize("more", [(), ("vocab.txt",)])  # with another file of its own, the base takes no expert's
async def test_a_base_without_a_processor(tmp_path: Path, more: tuple[str, ...]) -> None:
    write_checkpoints(tmp_path)
    (tmp_path / "base" / "preprocessor_config.json").unlink()
    for name in more:
        (tmp_path / "base" / name).write_text("a\n")
    for task, side in zip(LABELS, (12, 16, 12), strict=True):
        processor(side).save_pretrained(tmp_path / task)
    ladder = build(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "ladder", threads=1)
    assert (ladder.base_dir / "preprocessor_config.json").exists() is not bool(more)
    ask = transformers_answers(ladder, _rung(ladder), tmp_path / "exported")

    service = _service(ladder)
    answer = await _predict(service, FILES)
    await service.aclose()
    for task in LABELS:
        logits = [ask(task, file) for file in FILES.values()]
        np.testing.assert_allclose(answer["results"][task]["logits"], logits, atol=1e-4)
    assert answer["usage"]["tokens"] == len(FILES) * (SMALL + 1 + 4 * 4)


def test_a_task_without_any_processor_is_named(tmp_path: Path) -> None:
    write_checkpoints(tmp_path)
    (tmp_path / "base" / "preprocessor_config.json").unlink()
    (tmp_path / "base" / "vocab.txt").write_text("a\n")
    for task in ("hue", "size"):
        processor().save_pretrained(tmp_path / task)
    with pytest.raises(InputError, match=r"task 'shape': no image processor can be read from .*base"):
        _service(build(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "ladder", threads=1))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"do_pad": True}, "pad"),
        ({"crop_pct": 0.9}, "crop_pct"),
        ({"image_processor_type": "NoSuchImageProcessor"}, "NoSuch|Unrecognized"),
    ],
)
def test_a_processor_that_is_not_understood_is_named_with_its_task(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    write_checkpoints(tmp_path)
    config = processor().to_dict() | change
    (tmp_path / "shape" / "preprocessor_config.json").write_text(json.dumps(config))
    ladder = build(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "ladder", threads=1)
    with pytest.raises(InputError, match=f"task 'shape': .*the expert's preprocessor_config.json.*({named})"):
        _service(ladder)


async def test_a_size_that_the_model_cannot_take_is_told_with_its_task_on_starting(tmp_path: Path) -> None:
    service = _service(build_ladder(tmp_path, {"shape": processor(2)}))
    with pytest.raises(
        MergeLadderError, match=r"cannot be taken as task 'shape' prepares it: .*2 x 2 pixels is smaller"
    ):
        await service.start()
    await service.aclose()
