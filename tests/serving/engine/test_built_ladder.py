"""Builder and engine together: the engine answers as transformers does with the exported checkpoint."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel

from merge_builder.build import build
from merge_builder.errors import MergeLadderError
from merge_builder.ladder import Ladder, open_ladder, rung_at
from merge_builder.recipe import load_recipe
from serving.engine.engine import load_engine
from serving.engine.types import Encoded

from ...checkpoints import seeded, tokenizer
from .oracle import exported_model

TASKS = "wxyz"
# Masks are packed by eights, so both: sizes that are multiples of 8, and one that has hardly any.
EVEN, ODD = (32, 48), (20, 27)
REST = {"vocab_size": 100, "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 40}


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[int, int], torch.dtype], Path]:
    """The folder of four random experts; position embeddings and one task's layer 0 are as in the base."""

    @cache
    def save(widths: tuple[int, int], dtype: torch.dtype) -> Path:
        folder = tmp_path_factory.mktemp("experts")
        config = BertConfig(hidden_size=widths[0], intermediate_size=widths[1], **REST)
        with seeded(0):
            base = BertModel(config).to(dtype)
            base.save_pretrained(folder / "base")
            tokenizer().save_pretrained(folder / "base")
            for task in TASKS:
                expert = BertForSequenceClassification(config).to(dtype)
                frozen = ("embeddings.position", "encoder.layer.0") if task == "y" else ("embeddings.position",)
                moved = {
                    name: w if name.startswith(frozen) else w + 0.2 * torch.randn(w.shape).to(dtype)
                    for name, w in base.state_dict().items()
                }
                expert.bert.load_state_dict(moved)
                expert.save_pretrained(folder / task)
        return folder

    return save


@pytest.fixture(scope="module")
def make_built(experts, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ladder]:
    """`make_built(granularity, method, (hidden, intermediate), dtype=torch.float32)`: their ladder, built once."""

    @cache
    def make(granularity: str, method: str, widths: tuple[int, int], dtype: torch.dtype = torch.float32) -> Ladder:
        recipe = experts(widths, dtype) / f"{granularity}-{method}.yaml"
        tasks = ", ".join(f"{task}: {{model: {task}}}" for task in TASKS)
        recipe.write_text(f"base: base\nblocks: {granularity}\nmethod: {{name: {method}}}\ntasks: {{{tasks}}}")
        return build(load_recipe(recipe), tmp_path_factory.mktemp("built") / "ladder", threads=1)

    return make


@pytest.mark.parametrize(("method", "widths"), [("task_arithmetic", EVEN), ("emr", ODD), ("consensus", EVEN)])
@pytest.mark.parametrize("granularity", ["layer", "sublayer", "tensor"])
def test_logits_are_those_of_the_exported_checkpoint(
    make_built, tmp_path: Path, granularity: str, method: str, widths: tuple[int, int]
) -> None:
    ladder = make_built(granularity, method, widths)
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    asked = ((3, "xz"), (9, "zyxw"), (3, "y"), (5, "wz"))
    batch = [Encoded(tuple(range(n, 3 * n)), (0,) * (2 * n), tuple(tasks)) for n, tasks in asked]

    for size in ladder.manifest.rungs[:: len(ladder.manifest.trace) // 3]:  # the last one too
        engine.swap(rung_at(ladder.manifest, size.index))
        output = engine.run(batch)
        held = engine.bytes_loaded
        assert held["blocks"] + held["heads"] == size.bytes
        masked = any(version.kind == "masked" for version in engine.rung.stored())
        assert masked == (output.reconstruct_s > 0) == (held["scratch"] > 0)
        for task in TASKS:
            model = exported_model("BertForSequenceClassification", ladder, size, task, tmp_path)
            for item, logits in zip(batch, output.logits, strict=True):
                if task in item.tasks:
                    with torch.inference_mode():
                        expected = model(torch.tensor([item.input_ids])).logits[0]
                    np.testing.assert_allclose(logits[task], expected.numpy(), atol=1e-5)
    assert masked == (method != "task_arithmetic")


def test_16_bit_masked_versions_are_held_as_they_are_stored(make_built, tmp_path: Path) -> None:
    ladder = make_built("sublayer", "emr", EVEN, torch.bfloat16)
    last = ladder.manifest.rungs[-1]
    engine = load_engine(ladder, rung_at(ladder.manifest, last.index))
    output = engine.run([Encoded((5, 6, 7), (0, 0, 0), tuple(TASKS))])

    plain = sum(v.bytes for v in engine.rung.stored() if v.kind == "expert")
    heads = sum(task.head.bytes for task in ladder.manifest.tasks)
    held = engine.bytes_loaded
    assert held["blocks"] + held["heads"] == last.bytes + plain + heads  # what is used as it is becomes float32
    for task in TASKS:
        model = exported_model("BertForSequenceClassification", ladder, last, task, tmp_path)
        with torch.inference_mode():
            expected = model(torch.tensor([[5, 6, 7]])).logits[0]
        # The export rounds the weights to bfloat16, the engine does not.
        np.testing.assert_allclose(output.logits[0][task], expected.numpy(), atol=0.05)


def test_a_text_forks_where_masks_begin(make_built) -> None:
    ladder = make_built("layer", "emr", EVEN)
    item = Encoded(tuple(range(5, 15)), (0,) * 10, tuple(TASKS))
    assert load_engine(ladder, rung_at(ladder.manifest, len(ladder.manifest.trace))).run([item]).layer_tokens == 3 * 40


def test_swapping_between_masked_rungs_equals_a_fresh_load(make_built) -> None:
    ladder = make_built("sublayer", "emr", EVEN)
    batch = [Encoded(tuple(range(5, 15)), (0,) * 10, tuple(TASKS))]
    last = len(ladder.manifest.trace)
    engine = load_engine(ladder, rung_at(ladder.manifest, last))
    for index in (0, last, last // 2, 3 * last // 4, 0, last):
        engine.swap(rung_at(ladder.manifest, index))
        fresh = load_engine(ladder, rung_at(ladder.manifest, index))
        assert engine.bytes_loaded == fresh.bytes_loaded
        for task, logits in engine.run(batch).logits[0].items():
            np.testing.assert_array_equal(logits, fresh.run(batch).logits[0][task])


def test_masks_of_other_shapes_are_refused_by_name(make_built, tmp_path: Path) -> None:
    shutil.copytree(make_built("sublayer", "emr", EVEN).root, tmp_path / "own")
    ladder = open_ladder(tmp_path / "own")
    rung = rung_at(ladder.manifest, len(ladder.manifest.trace))
    one, other = [version for version in rung.stored() if version.kind == "masked"][:2]
    path = ladder.version_path(one)
    path.write_bytes(ladder.version_path(other).read_bytes())
    with pytest.raises(MergeLadderError, match=f"{path}.*mergeladder verify"):
        load_engine(ladder, rung)


def test_masked_versions_stay_as_they_are_where_all_else_is_8_bits(make_built) -> None:
    ladder = make_built("sublayer", "emr", EVEN)
    last = rung_at(ladder.manifest, len(ladder.manifest.trace))
    batch = [Encoded(tuple(range(n, 3 * n)), (0,) * (2 * n), tuple(TASKS)) for n in (3, 9)]
    exact, output = load_engine(ladder, last).run(batch), load_engine(ladder, last, dtype="int8").run(batch)

    for got, right in zip(output.logits, exact.logits, strict=True):
        for task in TASKS:
            np.testing.assert_allclose(got[task], right[task], atol=0.1)
