import threading

import pytest

from merge_builder.each_block import each_block
from merge_builder.materialise import BlockInput

BLOCKS = [BlockInput(name, (), [], []) for name in "cadb"]


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_block_order(workers: int) -> None:
    begun: list[str] = []

    def work(block: BlockInput) -> str:
        begun.append(block.name)
        return block.name.upper()

    assert each_block(work, BLOCKS, workers, lambda block: ord(block.name)) == ["C", "A", "D", "B"]
    assert sorted(begun) == list("abcd")
    if workers == 1:
        assert begun == list("abcd")


def test_where_one_fails_the_rest_is_left() -> None:
    begun: list[str] = []
    failed = threading.Event()

    def work(block: BlockInput) -> None:
        begun.append(block.name)
        if block.name == "a":
            failed.set()
            raise ValueError("a is wrong")
        failed.wait(10)

    with pytest.raises(ValueError, match="a is wrong"):
        each_block(work, BLOCKS * 50, 2, lambda block: ord(block.name))
    assert len(begun) < 150
