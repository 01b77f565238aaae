"""A ladder of one stack of layers, as `mergeladder tune --tuner depth` writes it, served: asked over HTTP, and checked
against transformers' own layers one after the other."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification

from merge_builder.recipe import load_recipe
from merge_builder.tuning.depth.ladder import write_stack
from merge_builder.tuning.depth.sources import open_sources
from merge_builder.tuning.depth.stack import Placed, Stack
from merge_builder.tuning.material import open_material

from ..checkpoints import tokenizer
from ..conftest import LABELS

pytestmark = pytest.mark.e2e
# Three layers of two experts' two, one of them repeated, the embeddings and the pooler of a third one.
STACK = Stack("topic", (Placed("mood", 0), Placed("intent", 1, 0.5), Placed("intent", 1, 1.5)))
TEXTS = ["w1", "w7 w8 w9 w60", " ".join(f"w{number}" for number in range(30))]


@torch.inference_mode()
def expected(folder: Path, task: str, text: str) -> np.ndarray:
    experts = {name: BertForSequenceClassification.from_pretrained(folder / name).eval() for name in LABELS}
    hidden = experts["topic"].bert.embeddings(tokenizer()(text, return_tensors="pt")["input_ids"])
    for own in STACK.layers:
        made = experts[own.source].bert.encoder.layer[own.layer](hidden)
        hidden = own.scale * (made[0] if isinstance(made, tuple) else made)
    return experts[task].classifier(experts["topic"].bert.pooler(hidden))[0].numpy()


def test_every_task_is_answered_by_the_stack(serve, ladder, recipe_file, tmp_path) -> None:
    with open_material(load_recipe(recipe_file), ladder) as material, open_sources(material) as sources:
        stacked = write_stack(sources, STACK, tmp_path / "stacked")
    with serve(str(stacked.root), "--rung", "1") as served:
        told = served.client.get("/v1/ladder").raise_for_status().json()
        assert (told["current"]["index"], told["current"]["ratio"]) == (0, 1.0)
        body = {"inputs": TEXTS, "tasks": "all", "parameters": {"return_logits": True}}
        answer = served.client.post("/v1/predict", json=body).raise_for_status().json()
    assert set(answer["results"]) == set(LABELS)
    for task, result in answer["results"].items():
        right = np.stack([expected(recipe_file.parent, task, text) for text in TEXTS])
        np.testing.assert_allclose(result["logits"], right, atol=2e-4)
        best = [LABELS[task][number] for number in right.argmax(axis=1)]
        assert [own[0]["label"] for own in result["predictions"]] == best
