from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification

from merge_builder.errors import InputError, MergeLadderError
from merge_builder.export import export
from merge_builder.ladder import select


@pytest.mark.parametrize("granularity", ["layer", "sublayer", "tensor"])
def test_rung_0_gives_every_expert_back_bit_for_bit(suite: Path, make_ladder, granularity: str) -> None:
    ladder = make_ladder(blocks=granularity)
    for task in "abc":
        export(ladder, task, ladder.manifest.rungs[0], suite / f"out-{task}")
        exported, expert = (load_file(suite / f / "model.safetensors") for f in (f"out-{task}", task))
        assert set(exported) == set(expert)
        assert all(exported[name].tobytes() == expert[name].tobytes() for name in expert)


def test_transformers_loads_any_rung(suite: Path, make_ladder) -> None:
    ladder = make_ladder()
    for rung in ("1", "2.0", "#3"):
        out = suite / f"out-{rung}"
        export(ladder, "b", select(ladder.manifest, rung), out)
        model, info = AutoModelForSequenceClassification.from_pretrained(out, output_loading_info=True)
        assert not info["missing_keys"]
        assert not info["unexpected_keys"]
        assert model.config.id2label[2] == "label-2"
        with torch.no_grad():
            assert model(torch.tensor([[1, 2, 3]])).logits.shape == (1, 3)
    last = load_file(suite / "out-1" / "model.safetensors")
    experts = [load_file(suite / task / "model.safetensors") for task in "abc"]
    mean = np.mean([e["bert.pooler.dense.weight"] for e in experts], axis=0)
    np.testing.assert_allclose(last["bert.pooler.dense.weight"], mean, atol=1e-6)


def test_bad_use_is_told_and_leaves_nothing(suite: Path, make_ladder) -> None:
    ladder = make_ladder()
    rung = ladder.manifest.rungs[0]
    with pytest.raises(InputError, match="no task 'z'"):
        export(ladder, "z", rung, suite / "out")
    with pytest.raises(InputError, match="exists already"):
        export(ladder, "a", rung, suite / "a")
    for version in ladder.root.glob("blocks/pooler/*.safetensors"):
        version.write_bytes(b"short")
    with pytest.raises(MergeLadderError, match="damaged"):
        export(ladder, "a", rung, suite / "out")
    assert not list(suite.glob(".out*"))
