"""CLIP in parts: base and experts that are whole models, vision towers, or towers with a head."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image as Pillow
from safetensors.numpy import load_file, save_file

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.export import export
from merge_builder.ladder import Ladder, rung_at
from merge_builder.recipe import load_recipe
from serving.api.app import create_app
from serving.client import Client, InvalidRequest
from serving.engine.engine import load_engine
from serving.engine.types import Image
from serving.service import Choice, Service

from ....images import picture
from .image_rows import ROWS

TOWER = transformers.CLIPVisionConfig(**ROWS["clip-tower"].keys, projection_dim=10)
WHOLE = transformers.CLIPConfig(
    text_config=ROWS["clip"].keys["text_config"], vision_config=TOWER.to_dict(), projection_dim=10
)
EXPERTS = {
    "labels": ("CLIPForImageClassification", WHOLE, "logits"),
    "vector": ("CLIPVisionModel", TOWER, "pooler_output"),
    "projected": ("CLIPVisionModelWithProjection", TOWER, "image_embeds"),
}


@torch.no_grad()
def _shake(model: torch.nn.Module, by: float) -> None:
    for parameter in model.parameters():
        parameter.add_(by * torch.randn_like(parameter))


def _tower_of(model: Any) -> torch.nn.Module:
    return model.vision_model if hasattr(model, "vision_model") else model


def save(folder: Path, base: str) -> Path:
    """A base of the architecture `base` and an expert of each kind in EXPERTS; the recipe's path."""
    torch.manual_seed(0)
    model = getattr(transformers, base)(WHOLE if base == "CLIPModel" else TOWER)
    _shake(model, 0.2)
    model.save_pretrained(folder / "base")
    transformers.CLIPImageProcessor(size={"shortest_edge": 20}, crop_size=20).save_pretrained(folder / "base")
    for task, (architecture, config, _) in EXPERTS.items():
        expert = getattr(transformers, architecture)(config)
        _tower_of(expert).load_state_dict(_tower_of(model).state_dict())
        _shake(expert, 0.1)
        expert.save_pretrained(folder / task)
    recipe = folder / "recipe.yaml"
    tasks = ", ".join(f"{task}: {{model: {task}}}" for task in EXPERTS)
    recipe.write_text(f"base: base\nmethod: {{name: average}}\ntasks: {{{tasks}}}")
    return recipe


def transformers_answers(ladder: Ladder, index: int, pixels: np.ndarray, out: Path) -> dict[str, np.ndarray]:
    """What transformers' own models answer to an image, by task, as they are exported from a rung."""
    answers = {}
    for task, (architecture, _, told) in EXPERTS.items():
        export(ladder, task, ladder.manifest.rungs[index], out / f"{task}{index}")
        model, info = getattr(transformers, architecture).from_pretrained(
            out / f"{task}{index}", output_loading_info=True
        )
        assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        with torch.inference_mode():
            answers[task] = model.eval()(pixel_values=torch.from_numpy(pixels)[None])[told][0].numpy()
    return answers


@pytest.mark.parametrize("base", ["CLIPModel", "CLIPVisionModel", "CLIPVisionModelWithProjection"])
def test_towers_and_whole_models_are_one_family(base: str, tmp_path: Path) -> None:
    ladder = build(load_recipe(save(tmp_path, base)), tmp_path / "ladder", threads=1)
    pixels = np.random.default_rng(0).standard_normal((3, 20, 20), np.float32)
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    asked = [Image(pixels, tuple(EXPERTS), engine.image_tokens(20, 20))]
    last = len(ladder.manifest.rungs) - 1
    found = []
    for index in (0, last // 2, last):
        engine.swap(rung_at(ladder.manifest, index))
        output = engine.run(asked)
        for task, right in transformers_answers(ladder, index, pixels, tmp_path).items():
            np.testing.assert_allclose(output.logits[0][task], right, atol=1e-5, rtol=1e-5)
        found.append((output.layer_tokens / output.tokens / 3, output.logits[0]))

    assert (found[0][0], found[-1][0]) == (3, 1)  # passes of three layers: an expert each, then one for all
    assert np.abs(found[0][1]["vector"] - found[-1][1]["vector"]).max() > 1e-2


@pytest.mark.parametrize("prefix", ["", "vision_model."])
def test_towers_may_be_named_as_older_releases_did(prefix: str, tmp_path: Path) -> None:
    """With a prefix or without, and with the numbers of their positions beside their weights."""
    recipe = save(tmp_path, "CLIPVisionModel")
    weights = {
        prefix + name.removeprefix("vision_model."): tensor
        for name, tensor in load_file(tmp_path / "vector/model.safetensors").items()
    }
    weights[f"{prefix}embeddings.position_ids"] = np.arange(26, dtype=np.int64)[None]
    save_file(weights, tmp_path / "vector/model.safetensors", {"format": "pt"})
    ladder = build(load_recipe(recipe), tmp_path / "ladder", threads=1)
    export(ladder, "vector", ladder.manifest.rungs[0], tmp_path / "out")
    exported = load_file(tmp_path / "out/model.safetensors")
    assert exported.keys() == weights.keys()
    assert all(exported[name].tobytes() == weights[name].tobytes() for name in weights)

    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    pixels = np.random.default_rng(0).standard_normal((3, 20, 20), np.float32)
    got = engine.run([Image(pixels, ("vector",), engine.image_tokens(20, 20))]).logits[0]["vector"]
    model = transformers.CLIPVisionModel.from_pretrained(tmp_path / "vector").eval()
    with torch.inference_mode():
        right = model(pixel_values=torch.from_numpy(pixels)[None]).pooler_output[0].numpy()
    np.testing.assert_allclose(got, right, atol=1e-5, rtol=1e-5)


def test_vectors_of_images_are_told_beside_labels(tmp_path: Path, serve: Callable[..., str]) -> None:
    ladder = build(load_recipe(save(tmp_path, "CLIPVisionModel")), tmp_path / "ladder", threads=1)
    file = picture(1, size=(20, 20))
    url = serve(create_app(Service(load_engine(ladder, rung_at(ladder.manifest, 0)), Choice(None, "asked for"))))
    with Client(url) as client:
        assert {task.name: task.kind for task in client.tasks()} == {
            "labels": "classification",
            "vector": "embedding",
            "projected": "embedding",
        }
        results = client.predict_many([file], return_logits=True).results
        with pytest.raises(InvalidRequest, match=r"POST /v1/predict"):
            client.predict("vector", [file])

    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "base", backend="pil")
    pixels = processor(images=Pillow.open(io.BytesIO(file)), return_tensors="np")["pixel_values"][0]
    right = transformers_answers(ladder, 0, pixels, tmp_path)
    np.testing.assert_allclose(results["labels"].logits[0], right["labels"], atol=1e-4)
    np.testing.assert_allclose(results["vector"].embeddings[0], right["vector"], atol=1e-4)
    np.testing.assert_allclose(results["projected"].embeddings[0], right["projected"], atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "gelu"}, "task 'other': .* hidden_act is 'gelu', but 'quick_gelu' in the base"),
        ({"patch_size": 5}, "task 'other': .* patch_size is 5, but 4 in the base"),
    ],
)
def test_a_whole_model_around_another_tower_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    transformers.CLIPVisionModel(TOWER).save_pretrained(tmp_path / "base")
    other = transformers.CLIPConfig(text_config=WHOLE.text_config.to_dict(), vision_config=TOWER.to_dict() | change)
    transformers.CLIPForImageClassification(other).save_pretrained(tmp_path / "other")
    (tmp_path / "recipe.yaml").write_text("base: base\ntasks: {other: {model: other}, again: {model: other}}")
    with pytest.raises(InputError, match=message):
        build(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "ladder", threads=1)
