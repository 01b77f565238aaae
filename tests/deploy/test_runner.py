import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertForSequenceClassification

from deploy import runner
from deploy.runner import engine_runner
from merge_builder.evaluation import Row
from merge_builder.export import export


@pytest.fixture
def rows() -> list[Row]:
    words = np.random.default_rng(0).integers(0, 95, size=(12, 60))
    texts = [" ".join(f"w{word}" for word in line[: 1 + 5 * place]) for place, line in enumerate(words)]
    return [
        Row(text=text, text_pair="w1 w2" if place % 3 == 0 else None, label="x") for place, text in enumerate(texts)
    ]


def test_logits_equal_transformers_on_the_exported_rung(ladder, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "BATCH_TOKENS", 50)  # several batches, and rows longer than one
    run = engine_runner(ladder)
    for index, task in ((0, "topic"), (9, "mood"), (len(ladder.manifest.rungs) - 1, "topic")):
        rung = ladder.manifest.rungs[index]
        folder = tmp_path / f"{index}"
        export(ladder, task, rung, folder)
        model, tokens = BertForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        with torch.inference_mode():
            expected = [
                model(**tokens(row.text, row.text_pair, truncation=True, return_tensors="pt")).logits[0].numpy()
                for row in rows
            ]
        np.testing.assert_allclose(run(rung, task, rows), np.stack(expected), atol=1e-5)
