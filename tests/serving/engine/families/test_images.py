"""What every family of images must do: answer as transformers does with exported checkpoints, and lose no tensor."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers.models.swin.modeling_swin import SwinStage

from merge_builder.errors import InputError
from merge_builder.export import export
from merge_builder.ladder import Ladder, rung_at
from merge_builder.verify import verify
from serving.engine.engine import Engine, load_engine
from serving.engine.types import BatchOutput, Encoded, Image

from ..oracle import exported_model
from .conftest import Build
from .image_rows import ROWS
from .rows import TASKS, Row


def _image(engine: Engine, seed: int, tasks: tuple[str, ...], size: tuple[int, int]) -> Image:
    pixels = np.random.default_rng(seed).standard_normal((3, *size), np.float32)
    return Image(pixels, tasks, engine.image_tokens(*size))


def _batch(engine: Engine, row: Row, seed: int) -> list[Image]:
    """Images of mixed sizes for mixed tasks."""
    chance = random.Random(seed)
    return [
        _image(engine, chance.randrange(1000), tuple(chance.sample(TASKS, chance.randint(1, 3))), size)
        for size in row.sizes
    ]


def _assert_right(row: Row, ladder: Ladder, batch: list[Image], output: BatchOutput, out: Path) -> None:
    for task in TASKS:
        model = exported_model(row.expert, ladder, output.rung.size, task, out)
        answers = []
        for item in batch:
            pixels = torch.from_numpy(item.pixels)[None]
            fresh = _as_new(model)
            with torch.inference_mode():
                told = fresh(pixel_values=pixels, **row.keywords)
            answers.append(told[row.answer][0].numpy())
        assert np.ptp(answers, axis=0).min() > 1e-2  # the images differ by far more than what is tolerated
        for item, logits, right in zip(batch, output.logits, answers, strict=True):
            assert set(logits) == set(item.tasks)
            if task in item.tasks:
                np.testing.assert_allclose(logits[task], right, atol=1e-5, rtol=1e-5)


def _as_new(model: torch.nn.Module) -> torch.nn.Module:
    """The model as if it had seen no image: Swin's layers keep to the smallest window that they were given."""
    for stage in (found for found in model.modules() if isinstance(found, SwinStage)):
        for number, layer in enumerate(stage.blocks):
            layer.window_size = stage.config.window_size
            layer.shift_size = layer.window_size // 2 * (number % 2)
    return model


def _rungs(ladder: Ladder) -> tuple[int, int, int]:
    last = len(ladder.manifest.rungs) - 1
    return 0, last // 2, last


CUTS = [(name, "sublayer") for name in ROWS] + [("vit", "layer"), ("swin", "layer")]


@pytest.mark.parametrize(("name", "blocks"), CUTS)
def test_logits_are_those_of_transformers(make_ladder: Build, name: str, blocks: str, tmp_path: Path) -> None:
    row = ROWS[name]
    ladder = make_ladder(name, row, blocks)
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    rungs = _rungs(ladder)
    # How a model is cut into blocks shows where some are shared and some are not.
    for index in rungs if blocks == "sublayer" else rungs[1:2]:
        engine.swap(rung_at(ladder.manifest, index))
        batch = _batch(engine, row, seed=index)
        _assert_right(row, ladder, batch, engine.run(batch), tmp_path)


@pytest.mark.parametrize("name", ROWS)
def test_masked_versions_of_single_tensors_give_the_logits_of_what_they_export(
    make_ladder: Build, name: str, tmp_path: Path
) -> None:
    row = ROWS[name]
    ladder = make_ladder(name, row, blocks="tensor", method="emr")
    _, middle, last = _rungs(ladder)
    engine = load_engine(ladder, rung_at(ladder.manifest, middle))
    assert {version.kind for version in engine.rung.stored()} >= {"expert", "masked"}
    for index in (middle, last):
        engine.swap(rung_at(ladder.manifest, index))
        batch = _batch(engine, row, seed=index)
        _assert_right(row, ladder, batch, engine.run(batch), tmp_path)


@pytest.mark.parametrize("name", ROWS)
def test_one_image_for_all_tasks_is_answered_as_for_each(make_ladder: Build, name: str) -> None:
    ladder, row = make_ladder(name, ROWS[name]), ROWS[name]
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    for index, copies in zip(_rungs(ladder), (3, None, 1), strict=True):
        engine.swap(rung_at(ladder.manifest, index))
        together = engine.run([image := _image(engine, 0, TASKS, row.sizes[0])])
        if copies is not None:
            assert together.layer_tokens == copies * row.passes * image.length
        for task in TASKS:
            alone = engine.run([Image(image.pixels, (task,), image.length)])
            np.testing.assert_allclose(together.logits[0][task], alone.logits[0][task], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ROWS)
def test_every_tensor_is_accounted_for_and_rung_0_gives_the_experts_back(
    make_ladder: Build, name: str, tmp_path: Path
) -> None:
    ladder = make_ladder(name, ROWS[name])
    assert verify(ladder) == []
    merged = [tensor.name for block in ladder.manifest.blocks for tensor in block.tensors]
    for task in ladder.manifest.tasks:
        export(ladder, task.name, ladder.manifest.rungs[0], tmp_path / task.name)
        saved = ladder.root.parent / task.name
        exported, expert = (load_file(folder / "model.safetensors") for folder in (tmp_path / task.name, saved))
        assert exported.keys() == expert.keys()
        assert all(exported[key].tobytes() == expert[key].tobytes() for key in expert)
        assert len(merged) + len(task.head.tensors) == len(expert)
        own = re.compile(r"classifier|pooler|^visual_projection|^layernorm")
        classifier = {key for key in expert if own.search(key)}
        assert {tensor.name for tensor in task.head.tensors} <= {key.removeprefix("beit.") for key in classifier}
        processor = (ladder.root.parent / "base/preprocessor_config.json").read_bytes()
        assert (tmp_path / task.name / "preprocessor_config.json").read_bytes() == processor


@pytest.mark.parametrize("name", ROWS)
def test_8_bit_matrices_answer_nearly_alike(make_ladder: Build, name: str) -> None:
    ladder = make_ladder(name, ROWS[name])
    rung = rung_at(ladder.manifest, _rungs(ladder)[1])
    plain, eight = load_engine(ladder, rung), load_engine(ladder, rung, dtype="int8")
    batch = _batch(plain, ROWS[name], seed=9)
    right, got = (
        np.concatenate([answers[task] for answers in engine.run(batch).logits for task in sorted(answers)])
        for engine in (plain, eight)
    )
    assert eight.bytes_loaded["blocks"] < 0.7 * plain.bytes_loaded["blocks"]
    assert np.linalg.norm(got - right) < 0.15 * np.linalg.norm(right)
    assert not np.allclose(got, right, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("vit", (3, 40), "3 x 40 pixels is smaller than one patch of 4 x 4"),
        ("swin", (32, 12), "32 x 12 pixels is too small: .* a window of 4 x 4, which takes 13 pixels a side"),
        ("swin", (0, 16), "0 x 16 pixels is too small"),
        ("swin-absolute", (30, 32), "30 x 32 pixels does not fit .*: sides have to be multiples of 4"),
    ],
)
def test_sizes_that_cannot_be_computed_are_refused(
    make_ladder: Build, name: str, size: tuple[int, int], message: str
) -> None:
    ladder = make_ladder(name, ROWS[name])
    with pytest.raises(InputError, match=message):
        load_engine(ladder, rung_at(ladder.manifest, 0)).image_tokens(*size)


def test_what_is_no_image_of_the_size_it_says_is_refused(make_ladder: Build) -> None:
    ladder = make_ladder("vit", ROWS["vit"])
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    assert (engine.modality, engine.image_tokens(20, 20)) == ("image", 26)
    with pytest.raises(InputError, match="is of images, and an input is a text"):
        engine.run([Encoded((1,), (0,), ("ant",))])
    with pytest.raises(InputError, match="has 26 tokens, not 7"):
        engine.run([Image(np.zeros((3, 20, 20), np.float32), ("ant",), 7)])
