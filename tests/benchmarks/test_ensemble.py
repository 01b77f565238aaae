"""The suite's ensemble of all experts against transformers, one expert at a time."""

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import BertForSequenceClassification

from deploy.bench import engine_bench
from deploy.runner import engine_runner
from merge_builder.build import build
from merge_builder.evaluation import Row
from merge_builder.recipe import load_recipe

from ..checkpoints import tokenizer
from ..conftest import LABELS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "suite"))
from ensemble import ensemble

ROWS = [Row(text=f"w{i} w{2 * i} w{3 * i}", label="x") for i in range(6)]


def test_it_is_the_mean_of_what_the_head_makes_of_every_encoder(recipe_file, tmp_path) -> None:
    torch.set_num_threads(1)
    ladder = build(load_recipe(recipe_file), tmp_path / "ladder", threads=1)
    bench, first = engine_bench(ladder), ladder.manifest.rungs[0]
    experts = {task: BertForSequenceClassification.from_pretrained(recipe_file.parent / task).eval() for task in LABELS}
    tokens = tokenizer()([row.text for row in ROWS], return_tensors="pt")
    expected = []
    with torch.inference_mode():
        for expert in experts.values():
            pooled = expert.bert(**tokens).pooler_output
            expected.append(experts["topic"].classifier(pooled).softmax(-1).numpy())
    assert not np.allclose(expected[0], expected[1], atol=0.1)
    np.testing.assert_allclose(ensemble(bench, ladder, "topic", ROWS), np.mean(expected, axis=0), atol=1e-5)
    np.testing.assert_array_equal(bench.run(first, "topic", ROWS), engine_runner(ladder)(first, "topic", ROWS))
