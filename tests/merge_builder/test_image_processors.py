"""Experts that prepare images in their own way: what a ladder keeps of it, and what an export gives back."""

import json
from pathlib import Path

import pytest
from transformers import AutoImageProcessor

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.export import export
from merge_builder.ladder import open_ladder
from merge_builder.recipe import load_recipe
from merge_builder.verify import verify

from ..images import build_ladder, processor, write_checkpoints

FILE = "preprocessor_config.json"


def test_what_differs_from_the_base_is_kept_and_given_back(tmp_path: Path) -> None:
    ladder = build_ladder(tmp_path, {"hue": processor(12), "shape": processor()})
    told = {task["name"]: task for task in json.loads((ladder.root / "ladder.json").read_bytes())["tasks"]}
    own = json.loads((tmp_path / "hue" / FILE).read_bytes())

    assert told["hue"]["preprocessing"] == {FILE: own}
    assert "preprocessing" not in told["shape"]  # the same as the base's
    assert "preprocessing" not in told["size"]  # none of its own
    assert verify(ladder) == []
    assert open_ladder(ladder.root).manifest == ladder.manifest
    for task, side in (("hue", 12), ("shape", 20), ("size", 20)):
        export(ladder, task, ladder.manifest.rungs[-1], tmp_path / f"out-{task}")
        loaded = AutoImageProcessor.from_pretrained(tmp_path / f"out-{task}", backend="pil")
        assert dict(loaded.crop_size) == {"height": side, "width": side}
    assert json.loads((tmp_path / "out-hue" / FILE).read_bytes()) == own


def test_an_expert_with_another_file_is_exported_without_the_bases(tmp_path: Path) -> None:
    write_checkpoints(tmp_path)
    text = json.dumps({"image_processor": processor(12).to_dict(), "processor_class": "SomeProcessor"})
    (tmp_path / "size" / "processor_config.json").write_text(text)
    ladder = build(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "ladder", threads=1)
    export(ladder, "size", ladder.manifest.rungs[0], tmp_path / "out")

    assert json.loads((tmp_path / "out" / "processor_config.json").read_bytes()) == json.loads(text)
    assert not (tmp_path / "out" / FILE).exists()


def test_a_file_that_tells_nothing_of_images_is_not_kept(tmp_path: Path) -> None:
    write_checkpoints(tmp_path)
    (tmp_path / "size" / "processor_config.json").write_text('{"processor_class": "SomeProcessor"}')
    ladder = build(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "ladder", threads=1)
    assert all(task.preprocessing is None for task in ladder.manifest.tasks)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_file_is_an_error_that_names_the_task(tmp_path: Path, text: str) -> None:
    write_checkpoints(tmp_path)
    (tmp_path / "shape" / FILE).write_text(text)
    with pytest.raises(InputError, match=f"task 'shape': .*{FILE} is not"):
        build(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "ladder", threads=1)
    assert not (tmp_path / "ladder").exists()


def test_another_processor_makes_another_ladder(tmp_path: Path) -> None:
    plain = build_ladder(tmp_path / "plain")
    ladder = build_ladder(tmp_path / "own", {"hue": processor(12)})
    assert FILE in ladder.manifest.provenance.experts["hue"].files
    assert ladder.manifest.revision != plain.manifest.revision

    processor(16).save_pretrained(tmp_path / "own" / "hue")
    with pytest.raises(InputError, match="a ladder of other inputs"):
        build(load_recipe(tmp_path / "own" / "recipe.yaml"), ladder.root, threads=1)
