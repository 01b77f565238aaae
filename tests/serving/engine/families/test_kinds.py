"""Token classification, question answering and embeddings of families of texts, against transformers' own models."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from merge_builder.build import build
from merge_builder.export import export
from merge_builder.ladder import rung_at
from merge_builder.recipe import load_recipe
from serving.engine.engine import load_engine
from serving.engine.types import Encoded

from ....checkpoints import tokenizer
from .rows import ROWS

KINDS = {"names": "ForTokenClassification", "find": "ForQuestionAnswering", "sense": "Model"}
FAMILIES = ("roberta", "distilbert", "electra", "albert", "mpnet", "modernbert", "deberta-v2")
IDS = tuple(range(5, 17))


@pytest.mark.parametrize("family", FAMILIES)
def test_other_kinds_answer_as_transformers_does(family: str, tmp_path: Path) -> None:
    row = ROWS[family]
    torch.manual_seed(0)
    classes = {task: row.expert.replace("ForSequenceClassification", end) for task, end in KINDS.items()}
    base = getattr(transformers, classes["sense"])(row.config(**row.keys))
    base.save_pretrained(tmp_path / "base")
    tokenizer().save_pretrained(tmp_path / "base")
    for task, name in classes.items():
        expert = getattr(transformers, name).from_pretrained(tmp_path / "base")
        with torch.no_grad():
            for parameter in expert.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        expert.save_pretrained(tmp_path / task)
    tasks = ", ".join(f"{task}: {{model: {task}}}" for task in KINDS)
    (tmp_path / "recipe.yaml").write_text(f"base: base\nmethod: {{name: average}}\ntasks: {{{tasks}}}")
    ladder = build(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "ladder", threads=1)
    rung = rung_at(ladder.manifest, len(ladder.manifest.rungs) // 2)
    got = load_engine(ladder, rung).run([Encoded(IDS, (0,) * len(IDS), tuple(KINDS))]).logits[0]

    for task, name in classes.items():
        export(ladder, task, rung.size, tmp_path / "out" / task)
        model = getattr(transformers, name).from_pretrained(tmp_path / "out" / task).eval()
        with torch.inference_mode():
            output = model(torch.tensor([IDS]))
        if task == "names":
            expected = output.logits[0]
        elif task == "find":
            expected = torch.stack([output.start_logits[0], output.end_logits[0]], dim=1)
        else:
            expected = output.last_hidden_state[0].mean(0)
        np.testing.assert_allclose(got[task], expected.numpy(), atol=1e-5)
