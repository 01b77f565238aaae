"""Work on blocks, several at once.

A block is one thread's work from end to end, so results depend on neither the number of threads nor their timing.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from merge_builder.materialise import BlockInput

T = TypeVar("T")


def each_block(
    work: Callable[[BlockInput], T],
    blocks: Sequence[BlockInput],
    workers: int,
    order: Callable[[BlockInput], int],
) -> list[T]:
    """`work` on every block, those with the smallest `order` first, by `workers` threads; results in block order.

    Where one fails, those that have not begun are left, and its error is raised.
    """
    turns = sorted(range(len(blocks)), key=lambda i: order(blocks[i]))
    with ThreadPoolExecutor(workers) as pool:
        futures = {i: pool.submit(work, blocks[i]) for i in turns}
        try:
            for future in as_completed(futures.values()):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [futures[i].result() for i in range(len(blocks))]
