"""Which groups of one block are stored masked: by hand-made merges over experts on disk."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from merge_builder.checkpoints.tensor_file import TensorFile
from merge_builder.linkage import Group
from merge_builder.materialise import NOBODY, BlockInput
from merge_builder.storage import most_made_bytes, storage, stored_bytes
from merge_builder.trace import Merge

SIZE = 100


def _block(folder: Path, values: list[int], size: int = SIZE) -> BlockInput:
    """A block of one tensor; expert k's weights are all `values[k]`, the base's 0."""
    folder.mkdir(exist_ok=True)
    files = []
    for number, value in enumerate([0, *values]):
        save_file({"w": np.full(size, value, np.float32)}, folder / str(number))
        files.append([TensorFile(folder / str(number)).tensors["w"]])
    return BlockInput("block", ("w",), files[0], files[1:])


def _merges(*pairs: tuple[Group, Group]) -> list[Merge]:
    return [Merge(0, left, right, 0.0) for left, right in pairs]


def test_groups_of_three_and_more_are_masked_and_pairs_are_not(tmp_path: Path) -> None:
    block = _block(tmp_path, [1, 2, 3, 4, 5])
    merges = _merges(((0,), (1,)), ((0, 1), (2,)), ((3,), (4,)), ((0, 1, 2), (3, 4)))
    kinds = storage(block, merges, masked=True)
    assert kinds[NOBODY] == "base"
    assert {g for g, kind in kinds.items() if kind == "masked"} == {(0, 1, 2), (0, 1, 2, 3, 4)}
    assert {g for g, kind in kinds.items() if kind == "expert"} == {(k,) for k in range(5)}
    plain = storage(block, merges, masked=False)
    assert {g for g, kind in plain.items() if kind == "merged"} == {(0, 1), (0, 1, 2), (3, 4), (0, 1, 2, 3, 4)}
    assert NOBODY not in plain


def test_equal_experts_are_stored_once_and_count_as_one(tmp_path: Path) -> None:
    merges = _merges(((0,), (1,)), ((0, 1), (2,)), ((0, 1, 2), (3,)))
    assert storage(_block(tmp_path / "all", [1, 1, 1, 1]), merges, masked=True) == {
        **{(k,): "expert" for k in range(4)},
        (0, 1): "expert",
        (0, 1, 2): "expert",
        (0, 1, 2, 3): "expert",
    }
    # {0, 1, 2} holds two experts, fewer than base and shared vector; with task 3 there are three to save from.
    kinds = storage(_block(tmp_path / "two", [1, 1, 2, 3]), merges, masked=True)
    assert (kinds[0, 1], kinds.get((0, 1, 2)), kinds[0, 1, 2, 3]) == ("expert", None, "masked")


@pytest.mark.parametrize(("size", "masked"), [(1, False), (100, True)])
def test_a_block_too_small_for_masks_keeps_its_experts(tmp_path: Path, size: int, masked: bool) -> None:
    block = _block(tmp_path, [1, 2, 3], size)
    kinds = storage(block, _merges(((0,), (1,)), ((0, 1), (2,))), masked=True)
    cost = stored_bytes(block, NOBODY, "base") + stored_bytes(block, (0, 1, 2), "masked")
    assert masked == ((0, 1, 2) in kinds) == (NOBODY in kinds) == (cost < 3 * 4 * size)


def test_the_bound_is_what_one_after_the_other_makes(tmp_path: Path) -> None:
    block = _block(tmp_path, [1, 2, 3, 4, 5])
    chain = _merges(*((tuple(range(k)), (k,)) for k in range(1, 5)))
    for masked in (True, False):
        made = {group: kind for group, kind in storage(block, chain, masked).items() if kind != "expert"}
        assert sum(stored_bytes(block, group, kind) for group, kind in made.items()) == most_made_bytes(block, masked)
