"""One label, several at once, or a number; texts and pairs; over HTTP: as transformers' own pipeline answers."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import torch
from transformers import ElectraConfig, ElectraForSequenceClassification, ElectraModel, pipeline

from merge_builder.build import build
from merge_builder.export import export
from merge_builder.ladder import Ladder, rung_at
from merge_builder.recipe import load_recipe
from serving.api.app import create_app
from serving.engine.engine import load_engine
from serving.service import Choice, Service

from ...checkpoints import tokenizer

pytestmark = pytest.mark.anyio
SHAPE = {"vocab_size": 100, "hidden_size": 32, "embedding_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
TASKS = {
    "mood": {"problem_type": "single_label_classification", "id2label": {0: "bad", 1: "good"}},
    "tags": {"problem_type": "multi_label_classification", "id2label": {0: "art", 1: "law", 2: "sea"}},
    "stars": {"problem_type": "regression", "id2label": {0: "stars"}},
    "spam": {"problem_type": None, "id2label": {0: "spam"}},
}
INPUTS = ["w1 w2 w3", {"text": "w4 w5", "text_pair": "w6"}, {"text": "w90", "text_pair": "w7 w8 w9"}]


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    root = tmp_path_factory.mktemp("kinds")
    torch.manual_seed(0)
    ElectraModel(ElectraConfig(**SHAPE, intermediate_size=48)).save_pretrained(root / "base")
    tokenizer().save_pretrained(root / "base")
    for task, keys in TASKS.items():
        expert = ElectraForSequenceClassification.from_pretrained(root / "base", **keys)
        with torch.no_grad():
            for parameter in expert.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        expert.save_pretrained(root / task)
    tasks = ", ".join(f"{task}: {{model: {task}}}" for task in TASKS)
    (root / "recipe.yaml").write_text(f"base: base\ntasks: {{{tasks}}}\n")
    return build(load_recipe(root / "recipe.yaml"), root / "ladder", threads=1)


@pytest.fixture
async def client(ladder: Ladder) -> AsyncIterator[httpx.AsyncClient]:
    rung = rung_at(ladder.manifest, len(ladder.manifest.rungs) // 2)
    service = Service(load_engine(ladder, rung), Choice(budget=1 << 30, reason="a middle rung"))
    await service.start()
    transport = httpx.ASGITransport(create_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    await service.aclose()


async def test_every_kind_is_answered_as_by_transformers_pipeline(
    client: httpx.AsyncClient, ladder: Ladder, tmp_path: Path
) -> None:
    response = await client.post("/v1/predict", json={"inputs": INPUTS, "tasks": "all"})
    assert response.status_code == 200, response.text
    results = response.json()["results"]
    assert set(results) == set(TASKS)
    size = ladder.manifest.rungs[len(ladder.manifest.rungs) // 2]
    for task in TASKS:
        export(ladder, task, size, tmp_path / task)
        classify = pipeline("text-classification", model=str(tmp_path / task), tokenizer=str(tmp_path / task))
        for item, answered in zip(INPUTS, results[task]["predictions"], strict=True):
            expected = classify(item, top_k=None)
            assert [found["label"] for found in answered] == [right["label"] for right in expected]
            assert [found["score"] for found in answered] == pytest.approx([e["score"] for e in expected], abs=1e-5)
    sums = [sum(found["score"] for found in answered) for answered in results["tags"]["predictions"]]
    assert not any(total == pytest.approx(1) for total in sums)  # several labels may hold
