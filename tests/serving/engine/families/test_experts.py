"""Experts that are no plain fine-tunes, on RoBERTa: other in the head alone, adapters, or with more tokens."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from safetensors.numpy import load_file
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast, RobertaForSequenceClassification, RobertaModel

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.export import export
from merge_builder.ladder import Ladder, rung_at
from merge_builder.recipe import load_recipe
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Encoded

from ....checkpoints import tokenizer
from .rows import ROWS

TASKS = ("ant", "bee", "cat")
TEXTS = ((7, 3, 1, 90), (5, 6), (8, 9, 10, 11, 12, 13, 14))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a base lies, and experts are to lie."""
    return _with_base(tmp_path)


def _with_base(folder: Path) -> Path:
    torch.manual_seed(0)
    model = RobertaModel(ROWS["roberta"].config(**ROWS["roberta"].keys))
    _shake(model, 0.2)
    _save(model, folder / "base", tokenizer())
    return folder


@torch.no_grad()
def _shake(model: torch.nn.Module, by: float) -> None:
    for parameter in model.parameters():
        parameter.add_(by * torch.randn_like(parameter))


def _save(model: torch.nn.Module, folder: Path, words: PreTrainedTokenizerFast) -> None:
    model.save_pretrained(folder)
    words.save_pretrained(folder)


def _expert(folder: Path, labels: int) -> RobertaForSequenceClassification:
    model = RobertaForSequenceClassification.from_pretrained(folder / "base", num_labels=labels)
    _shake(model.classifier, 0.3)
    return model


def _build(folder: Path, out: str = "ladder", **keys: Any) -> Ladder:
    recipe = {"base": "base", "tasks": {task: {"model": task} for task in TASKS}, **keys}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    return build(load_recipe(folder / "recipe.yaml"), folder / out, threads=1)


def _assert_answers(engine: Engine, task: str, model: torch.nn.Module, *texts: tuple[int, ...]) -> None:
    batch = [Encoded(ids, (0,) * len(ids), (task,)) for ids in texts]
    output = engine.run(batch)
    for item, logits in zip(batch, output.logits, strict=True):
        with torch.inference_mode():
            expected = model.eval()(torch.tensor([item.input_ids])).logits[0].numpy()
        np.testing.assert_allclose(logits[task], expected, atol=1e-5, rtol=1e-5)


Saved = tuple[Path, dict[str, RobertaForSequenceClassification]]


@pytest.fixture(scope="module")
def new_heads(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Experts that differ from their base in the head alone: where they lie, and themselves."""
    folder = _with_base(tmp_path_factory.mktemp("heads"))
    models = {task: _expert(folder, labels) for labels, task in enumerate(TASKS, 2)}
    for task, model in models.items():
        model.save_pretrained(folder / task)
    return folder, models


@pytest.mark.parametrize("method", ["tsv", "task_arithmetic", "ties", "emr", "iso", "wudi", "pcb"])
def test_experts_that_differ_in_their_head_alone_are_themselves_on_every_rung(new_heads: Saved, method: str) -> None:
    folder, models = new_heads
    ladder = _build(folder, method, method={"name": method})

    assert {step.similarity for step in ladder.manifest.trace} == {1.0}
    item = Encoded(TEXTS[2], (0,) * 7, TASKS)
    last = len(ladder.manifest.trace)
    engine = load_engine(ladder, rung_at(ladder.manifest, last))
    assert engine.run([item]).layer_tokens >= 3 * 7
    for index in (last, last // 2, 0):
        engine.swap(rung_at(ladder.manifest, index))
        for task, model in models.items():
            _assert_answers(engine, task, model, *TEXTS)


@pytest.mark.parametrize("kind", ["lora", "ia3"])
def test_adapters_are_served_as_peft_computes_them(folder: Path, kind: str) -> None:
    wanted = {
        "lora": lambda: peft.LoraConfig(task_type="SEQ_CLS", r=2, lora_alpha=6, target_modules=["query", "value"]),
        "ia3": lambda: peft.IA3Config(
            task_type="SEQ_CLS", target_modules=["key", "output.dense"], feedforward_modules=["output.dense"]
        ),
    }
    models = {}
    for labels, task in enumerate(TASKS, 2):
        tuned = peft.get_peft_model(_expert(folder, labels), wanted[kind]())
        with torch.no_grad():
            for parameter in filter(lambda p: p.requires_grad, tuned.parameters()):
                parameter.add_(0.3 * torch.randn_like(parameter))
        tuned.save_pretrained(folder / task)
        models[task] = tuned
    ladder = _build(folder)
    first, last = (load_engine(ladder, rung_at(ladder.manifest, index)) for index in (0, len(ladder.manifest.trace)))
    for task, model in models.items():
        _assert_answers(first, task, model, *TEXTS)
        export(ladder, task, ladder.manifest.rungs[-1], folder / f"out-{task}")
        merged = RobertaForSequenceClassification.from_pretrained(folder / f"out-{task}")
        _assert_answers(last, task, merged, *TEXTS)


class TestExpertsThatKnowMoreTokens:
    """The task bee knows three tokens more than the base, cat the first of them."""

    @pytest.fixture(autouse=True)
    def models(self, folder: Path) -> dict[str, RobertaForSequenceClassification]:
        models = {task: _expert(folder, labels) for labels, task in enumerate(TASKS, 2)}
        for (task, model), count in zip(models.items(), (0, 3, 1), strict=True):
            words = tokenizer()
            words.add_tokens([AddedToken(f"new{n}") for n in range(count)])
            model.resize_token_embeddings(100 + count)
            _shake(model.roberta, 0.1)
            _save(model, folder / task, words)
        return models

    def test_are_refused_with_the_way_out(self, folder: Path) -> None:
        with pytest.raises(InputError, match=r"'bee'.*103 rows.* 100: .*vocabulary: pad"):
            _build(folder)

    def test_are_refused_too_where_the_table_had_room_for_the_tokens(self, folder: Path) -> None:
        for task in TASKS[1:]:  # as if the base had unused rows, which experts gave a meaning
            RobertaForSequenceClassification.from_pretrained(folder / "ant").save_pretrained(folder / task)
        with pytest.raises(InputError, match=r"'bee'.*tokenizer differs.*'new\d'.*vocabulary: pad"):
            _build(folder)

    def test_are_padded_when_the_recipe_says_so(
        self, models: dict[str, RobertaForSequenceClassification], folder: Path
    ) -> None:
        ladder = _build(folder, vocabulary="pad", method={"name": "average"})

        engine = load_engine(ladder, rung_at(ladder.manifest, 0))
        words = engine.tokenizer.encode(["w5 new2"], None, max_length=44, truncate=True)[0]
        assert words.input_ids[1:-1] == (10, 102)
        _assert_answers(engine, "bee", models["bee"], *TEXTS, words.input_ids)
        _assert_answers(engine, "cat", models["cat"], *TEXTS, (2, 100, 3))
        _assert_answers(engine, "ant", models["ant"], *TEXTS)
        last = len(ladder.manifest.trace)
        for index in (0, last):
            engine.swap(rung_at(ladder.manifest, index))
            for task in TASKS:
                out = folder / f"{task}{index}"
                export(ladder, task, ladder.manifest.rungs[index], out)
                exported = RobertaForSequenceClassification.from_pretrained(out)
                assert exported.config.vocab_size == 103
                _assert_answers(engine, task, exported, *TEXTS, (2, 100, 102, 3))
        tables = [
            load_file(own / "model.safetensors")["roberta.embeddings.word_embeddings.weight"]
            for own in (*(folder / f"{task}0" for task in TASKS), *(folder / task for task in TASKS))
        ]
        for padded, own, rows in zip(tables[:3], tables[3:], (100, 103, 101), strict=True):
            assert padded[:rows].tobytes() == own.tobytes()
            assert not padded[rows:].any()
        merged = load_file(folder / f"ant{last}/model.safetensors")["roberta.embeddings.word_embeddings.weight"]
        np.testing.assert_allclose(merged, np.mean(tables[:3], axis=0), atol=1e-6)

    def test_with_one_id_for_two_tokens_are_refused(self, folder: Path) -> None:
        path = folder / "cat/tokenizer.json"
        path.write_text(path.read_text().replace("new0", "other"))
        with pytest.raises(InputError, match=r"token 100 is 'other', but 'new0'"):
            _build(folder, vocabulary="pad")
