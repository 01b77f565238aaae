"""What every family of texts must do: answer as transformers does with the exported checkpoints, and lose no tensor."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from merge_builder.describe import fold
from merge_builder.export import export
from merge_builder.ladder import Ladder, rung_at
from merge_builder.verify import verify
from serving.engine.engine import load_engine
from serving.engine.types import BatchOutput, Encoded

from ..oracle import exported_model
from .conftest import Build
from .rows import ROWS, TASKS, Row

LENGTHS = (1, 2, 7, 7, 3, 13, 7, 40, 26, 13)


def _batch(row: Row, seed: int) -> list[Encoded]:
    """Texts of mixed lengths for mixed tasks, with token types where the family has any, and padding tokens within."""
    chance, types = random.Random(seed), row.config(**row.keys).to_dict().get("type_vocab_size", 0) or 1
    return [
        Encoded(
            tuple(chance.randrange(100) for _ in range(length)),
            tuple(chance.randrange(types) for _ in range(length)),
            tuple(chance.sample(TASKS, chance.randint(1, 3))),
        )
        for length in LENGTHS
    ]


def _answers(row: Row, ladder: Ladder, index: int, task: str, batch: list[Encoded], out: Path) -> list[np.ndarray]:
    """The logits of transformers' own model of the task, as it is exported from the rung, for each text by itself."""
    model = exported_model(row.expert, ladder, ladder.manifest.rungs[index], task, out)
    typed = "token_type_ids" if getattr(model.config, "type_vocab_size", 0) > 1 else None
    answers = []
    for item in batch:
        inputs = {"input_ids": torch.tensor([item.input_ids])}
        if typed:
            inputs[typed] = torch.tensor([item.token_type_ids])
        with torch.inference_mode():
            answers.append(model(**inputs).logits[0].numpy())
    return answers


def _assert_right(row: Row, ladder: Ladder, batch: list[Encoded], output: BatchOutput, out: Path) -> None:
    for task in TASKS:
        expected = _answers(row, ladder, output.rung.size.index, task, batch, out)
        assert np.ptp(expected, axis=0).min() > 1e-2  # the texts differ by far more than what is tolerated
        for item, logits, right in zip(batch, output.logits, expected, strict=True):
            assert set(logits) == set(item.tasks)
            if task in item.tasks:
                np.testing.assert_allclose(logits[task], right, atol=1e-5, rtol=1e-5)


def _rungs(ladder: Ladder) -> tuple[int, int, int]:
    last = len(ladder.manifest.rungs) - 1
    return 0, last // 2, last


@pytest.mark.parametrize("name", ROWS)
def test_logits_are_those_of_transformers(make_ladder: Build, name: str, tmp_path: Path) -> None:
    row = ROWS[name]
    ladder = make_ladder(name, row)
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    for index in _rungs(ladder):
        engine.swap(rung_at(ladder.manifest, index))
        batch = _batch(row, seed=index)
        _assert_right(row, ladder, batch, engine.run(batch), tmp_path)


@pytest.mark.parametrize("name", ROWS)
def test_masked_versions_of_single_tensors_give_the_logits_of_what_they_export(
    make_ladder: Build, name: str, tmp_path: Path
) -> None:
    row = ROWS[name]
    ladder = make_ladder(name, row, blocks="tensor", method="emr")
    _, middle, last = _rungs(ladder)
    engine = load_engine(ladder, rung_at(ladder.manifest, middle))
    # How a model is cut into blocks shows where some are shared and some are not.
    assert {version.kind for version in engine.rung.stored()} >= {"expert", "masked"}
    for index in (middle, last):
        engine.swap(rung_at(ladder.manifest, index))
        batch = _batch(row, seed=index)
        _assert_right(row, ladder, batch, engine.run(batch), tmp_path)
    assert all(version.kind == "masked" for version in engine.rung.stored() if version.tasks)


@pytest.mark.parametrize("name", ROWS)
def test_one_text_for_all_tasks_is_answered_as_for_each(make_ladder: Build, name: str) -> None:
    ladder = make_ladder(name, ROWS[name])
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    ids = tuple(range(5, 22))
    for index, copies in zip(_rungs(ladder), (3, None, 1), strict=True):
        engine.swap(rung_at(ladder.manifest, index))
        together = engine.run([Encoded(ids, (0,) * len(ids), TASKS)])
        if copies is not None:
            assert together.layer_tokens == copies * ROWS[name].passes * len(ids)
        for task in TASKS:
            alone = engine.run([Encoded(ids, (0,) * len(ids), (task,))])
            np.testing.assert_allclose(together.logits[0][task], alone.logits[0][task], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ROWS)
def test_every_tensor_is_accounted_for_and_rung_0_gives_the_experts_back(
    make_ladder: Build, name: str, tmp_path: Path
) -> None:
    ladder = make_ladder(name, ROWS[name])
    assert verify(ladder) == []
    merged = [tensor.name for block in ladder.manifest.blocks for tensor in block.tensors]
    drawn = fold(ladder.manifest.blocks)
    assert sum(part.copies * part.tensors for part in drawn) == len(merged)
    assert len(drawn) < len(ladder.manifest.blocks)
    for task in ladder.manifest.tasks:
        export(ladder, task.name, ladder.manifest.rungs[0], tmp_path / task.name)
        exported, expert = (
            load_file(folder / "model.safetensors") for folder in (tmp_path / task.name, ladder.root.parent / task.name)
        )
        assert exported.keys() == expert.keys()
        assert all(exported[key].tobytes() == expert[key].tobytes() for key in expert)
        assert len(merged) + len(task.head.tensors) == len(expert)
        assert all(re.search(r"classifier|pooler|^head\.", tensor.name) for tensor in task.head.tensors)


@pytest.mark.parametrize("name", ROWS)
def test_8_bit_matrices_answer_nearly_alike(make_ladder: Build, name: str) -> None:
    ladder = make_ladder(name, ROWS[name])
    batch = _batch(ROWS[name], seed=9)
    rung = rung_at(ladder.manifest, _rungs(ladder)[1])
    exact, output = load_engine(ladder, rung).run(batch), load_engine(ladder, rung, dtype="int8").run(batch)
    right, got = (
        np.concatenate([answers[task] for answers in out.logits for task in sorted(answers)]) for out in (exact, output)
    )
    assert np.linalg.norm(got - right) < 0.15 * np.linalg.norm(right)
    assert not np.allclose(got, right, atol=1e-5)
