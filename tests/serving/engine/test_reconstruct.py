import numpy as np
import pytest
import torch
from torch import Tensor

from merge_builder.ladder.fields import TensorSpec
from merge_builder.ladder.masked import RESCALERS, masks_of, pack_masks
from serving.engine.reconstruct import MaskedWeights, Scratch

# One longer than a stretch, one that fills no byte, one of whole bytes.
SHAPES = {"long.weight": (11, 30_001), "odd.bias": (13,), "table.weight": (6, 16), "ragged.weight": (6, 5)}
SPECS = [TensorSpec(name=name, dtype="F32", shape=shape) for name, shape in SHAPES.items()]


def _tensors(dtype: torch.dtype) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, np.ndarray]]:
    """A base, a masked version for three tasks, and each tensor of every task, [3, ...], in fp64."""
    rng = np.random.default_rng(0)
    base, stored, dense = {}, {RESCALERS: torch.tensor([0.5, 1.0, 1.75])}, {}
    for name, shape in SHAPES.items():
        base[name], stored[name] = (torch.from_numpy(rng.normal(size=shape)).to(dtype) for _ in range(2))
        masks = rng.random((3, base[name].numel())) < 0.5
        stored[masks_of(name)] = torch.from_numpy(pack_masks(masks))
        change = masks.reshape(3, *shape) * stored[name].double().numpy()
        dense[name] = base[name].double().numpy() + np.array([0.5, 1.0, 1.75]).reshape(3, *[1] * len(shape)) * change
    return base, stored, dense


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_each_tasks_weights_are_base_plus_rescaled_masked_vector(dtype: torch.dtype) -> None:
    base, stored, dense = _tensors(dtype)
    scratch = Scratch(SPECS, (), "cpu")
    for row, rescaler in enumerate((0.5, 1.0, 1.75)):
        weights = MaskedWeights(stored, base, row, rescaler, scratch)
        for name, shape in SHAPES.items():
            made = weights[name]
            assert (made.dtype, made.shape) == (torch.float32, shape)
            np.testing.assert_allclose(made.numpy(), dense[name][row], atol=1e-6)


@pytest.mark.parametrize("name", ["table.weight", "ragged.weight"])
def test_rows_looked_up_are_the_tables(name: str) -> None:
    base, stored, dense = _tensors(torch.float32)
    weights = MaskedWeights(stored, base, 2, 1.75, Scratch(SPECS, (), "cpu"))
    rows = torch.tensor([[4, 0, 0, 5, 2]])
    np.testing.assert_allclose(weights.look_up(name, rows).numpy(), dense[name][2][rows.numpy()], atol=1e-6)


def test_a_leafs_tensors_do_not_overwrite_each_other_and_buffers_are_reused() -> None:
    base, stored, dense = _tensors(torch.float32)
    weights = MaskedWeights(stored, base, 0, 0.5, Scratch(SPECS, (), "cpu"))
    weight, bias = weights["ragged.weight"], weights["odd.bias"]
    np.testing.assert_allclose(weight.numpy(), dense["ragged.weight"][0], atol=1e-6)
    np.testing.assert_allclose(bias.numpy(), dense["odd.bias"][0], atol=1e-6)
    assert weights["table.weight"].data_ptr() == weight.data_ptr()


def test_the_scratch_is_as_large_as_the_largest_tensor_that_is_made_whole() -> None:
    largest, bias = 4 * 11 * 30_001, 4 * 13
    unpacking = 4 * (1 << 17) + 4 * (1 << 17) // 8 + 4 * 256 * 8
    assert Scratch(SPECS, (), "cpu").nbytes == largest + bias + unpacking
    tables = {"table.weight", "ragged.weight"}
    small = [spec for spec in SPECS if spec.name != "long.weight"]
    assert Scratch(small, tables, "cpu").nbytes == 4 * 30 + bias + 4 * (32 + 4) + 4 * 256 * 8


def test_seconds_are_counted_once() -> None:
    base, stored, _ = _tensors(torch.float32)
    scratch = Scratch(SPECS, (), "cpu")
    MaskedWeights(stored, base, 0, 0.5, scratch)["long.weight"]
    assert scratch.take_seconds() > 0
    assert scratch.take_seconds() == 0
