"""What single families of texts refuse, ignore or bound."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ModernBertForSequenceClassification

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.ladder import rung_at
from merge_builder.recipe import load_recipe
from serving.engine.engine import load_engine
from serving.engine.types import Encoded

from ....checkpoints import tokenizer
from .conftest import Build, save_suite
from .rows import ROWS, TASKS, Row


@pytest.mark.parametrize(("name", "most"), [("bert", 44), ("roberta", 42), ("mpnet", 42), ("deberta-v3", 44)])
def test_a_text_may_have_as_many_tokens_as_there_are_positions(make_ladder: Build, name: str, most: int) -> None:
    ladder = make_ladder(name, ROWS[name])
    engine = load_engine(ladder, rung_at(ladder.manifest, len(ladder.manifest.trace)))
    assert engine.max_length("ant") == most  # the tokenizer would take 48
    engine.run([Encoded((5,) * most, (0,) * most, ("ant",))])
    with pytest.raises(InputError, match=f"{most + 1} tokens and at most {most}"):
        engine.run([Encoded((5,) * (most + 1), (0,) * (most + 1), ("ant",))])


@pytest.mark.parametrize("name", ["distilbert", "mpnet", "modernbert", "deberta-v3"])
def test_a_model_without_token_types_does_not_look_at_them(make_ladder: Build, name: str) -> None:
    ladder = make_ladder(name, ROWS[name])
    engine = load_engine(ladder, rung_at(ladder.manifest, len(ladder.manifest.trace)))
    plain, typed = engine.run([Encoded((7, 8, 9), types, TASKS) for types in ((0, 0, 0), (0, 1, 1))]).logits
    for task in TASKS:
        np.testing.assert_allclose(plain[task], typed[task], atol=1e-6)


def test_a_token_type_that_a_model_lacks_is_refused(make_ladder: Build) -> None:
    ladder = make_ladder("electra", ROWS["electra"])
    engine = load_engine(ladder, rung_at(ladder.manifest, len(ladder.manifest.trace)))
    with pytest.raises(InputError, match="token type id out of range: they run from 0 to 1"):
        engine.run([Encoded((7, 8), (0, 2), TASKS)])


def test_layers_that_albert_goes_through_again_are_stored_and_counted_once(make_ladder: Build) -> None:
    ladder = make_ladder("albert", ROWS["albert"])
    shared = ladder.manifest.rungs[-1]
    blocks = sum(block.bytes for block in ladder.manifest.blocks)
    assert shared.bytes == blocks + sum(task.head.bytes for task in ladder.manifest.tasks)
    engine = load_engine(ladder, rung_at(ladder.manifest, shared.index))
    assert engine.bytes_loaded["blocks"] == blocks
    layers = {block.name.split(".")[1] for block in ladder.manifest.blocks if block.name.startswith("layers.")}
    assert (layers, ROWS["albert"].passes) == ({"0", "1"}, 4)


def test_positions_that_depend_on_the_company_of_a_text_are_refused(tmp_path: Path) -> None:
    scaled = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    row = ROWS["modernbert"]
    keys = {"rope_parameters": {"full_attention": scaled, "sliding_attention": {"rope_type": "default"}}}
    save_suite(tmp_path, Row(row.config, row.base, row.expert, row.keys | keys))
    (tmp_path / "recipe.yaml").write_text("base: base\ntasks: {ant: {model: ant}}\n")
    ladder = build(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "ladder", threads=1)
    with pytest.raises(InputError, match=r"full_attention are of type 'dynamic'.*cannot be served"):
        load_engine(ladder, rung_at(ladder.manifest, 0))


def test_a_text_of_many_windows_has_the_logits_of_transformers(tmp_path: Path) -> None:
    row = ROWS["modernbert"]
    row = Row(row.config, row.base, row.expert, row.keys | {"max_position_embeddings": 1100})
    save_suite(tmp_path, row)
    long = tokenizer()
    long.model_max_length = 1100
    long.save_pretrained(tmp_path / "base")
    (tmp_path / "recipe.yaml").write_text("base: base\ntasks: {ant: {model: ant}, bee: {model: bee}}\n")
    ladder = build(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "ladder", threads=1)
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    chance = np.random.default_rng(0)
    texts = [tuple(chance.integers(0, 100, length).tolist()) for length in (1000, 30, 257, 257, 1000)]
    answers = engine.run([Encoded(ids, (0,) * len(ids), ("ant", "bee")) for ids in texts]).logits
    for task in ("ant", "bee"):
        model = ModernBertForSequenceClassification.from_pretrained(tmp_path / task).eval()
        with torch.inference_mode():
            right = [model(input_ids=torch.tensor([ids])).logits[0].numpy() for ids in texts]
        assert np.ptp(right, axis=0).min() > 1e-2
        np.testing.assert_allclose([answer[task] for answer in answers], right, atol=1e-5)
