"""Every kind of task against transformers' own model of it, exported at the rung that the engine is on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from merge_builder.export import export
from merge_builder.ladder import Ladder, rung_at
from serving.engine.engine import Engine, load_engine
from serving.engine.types import Encoded

TASKS = ("mood", "names", "find", "sense")
Theirs = Callable[[Path, torch.Tensor, torch.Tensor], torch.Tensor]


def _logits(model: torch.nn.Module, ids: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    return model(ids, token_type_ids=types).logits[0]


def _mood(folder: Path, ids: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    return _logits(AutoModelForSequenceClassification.from_pretrained(folder), ids, types)


def _names(folder: Path, ids: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    return _logits(AutoModelForTokenClassification.from_pretrained(folder), ids, types)


def _find(folder: Path, ids: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    output = AutoModelForQuestionAnswering.from_pretrained(folder)(ids, token_type_ids=types)
    return torch.stack([output.start_logits[0], output.end_logits[0]], dim=1)


def _sense(folder: Path, ids: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    hidden = AutoModel.from_pretrained(folder)(ids, token_type_ids=types).last_hidden_state[0]
    return hidden.mean(0) / hidden.mean(0).norm()


THEIRS: dict[str, Theirs] = {"mood": _mood, "names": _names, "find": _find, "sense": _sense}


def _engine(ladder: Ladder, part: float) -> Engine:
    return load_engine(ladder, rung_at(ladder.manifest, int(part * (len(ladder.manifest.rungs) - 1))))


@pytest.mark.parametrize("part", [0, 0.5, 1])
def test_every_kind_answers_as_transformers_does(mixed_ladder: Ladder, tmp_path: Path, part: float) -> None:
    engine = _engine(mixed_ladder, part)
    chance = np.random.default_rng(0)
    batch = []
    for length, tasks in ((5, TASKS), (12, ("names", "sense")), (1, TASKS), (40, ("find",)), (9, ("mood", "names"))):
        ids = tuple(map(int, chance.integers(0, 60, length)))
        batch.append(Encoded(ids, tuple(int(n > 3) for n in range(length)), tasks))
    output = engine.run(batch)
    for task in TASKS:
        export(mixed_ladder, task, engine.rung.size, tmp_path / task)
        for item, got in zip(batch, output.logits, strict=True):
            if task in item.tasks:
                with torch.inference_mode():
                    expected = THEIRS[task](
                        tmp_path / task, torch.tensor([item.input_ids]), torch.tensor([item.token_type_ids])
                    )
                assert got[task].shape == tuple(expected.shape)
                np.testing.assert_allclose(got[task], expected.numpy(), atol=1e-5)


def test_kinds_that_share_all_blocks_share_one_run(mixed_ladder: Ladder) -> None:
    item = Encoded((2, 7, 8, 9, 3), (0,) * 5, TASKS)
    last, first = _engine(mixed_ladder, 1).run([item]), _engine(mixed_ladder, 0).run([item])

    assert (last.layer_tokens, first.layer_tokens) == (2 * 5, 2 * 5 * len(TASKS))
