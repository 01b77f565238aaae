"""Memory that lies free between blocks in use, as batches of ever other sizes leave it: what becomes of it."""

import ctypes
import platform
import random
from collections.abc import Callable, Iterator

import pytest

from merge_builder.ladder import rung_at
from serving.engine import allocator
from serving.engine.allocator import FreedMemory, keep_freed_memory, own_bytes
from serving.engine.engine import load_engine
from serving.engine.types import Encoded

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told what to keep")

MIB = 1 << 20


@pytest.fixture
def leave_holes() -> Iterator[Callable[[int], None]]:
    """`leave_holes(64)`: that many MiB are written to and freed, all but a few bytes of each."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = libc.realloc.restype = ctypes.c_void_p
    libc.malloc.argtypes, libc.realloc.argtypes = [ctypes.c_size_t], [ctypes.c_void_p, ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    kept: list[int] = []

    def leave(mib: int) -> None:
        blocks = [libc.malloc(MIB) for _ in range(mib)]
        for block in blocks:
            ctypes.memset(block, 1, MIB)
        kept.extend(libc.realloc(block, 256) for block in blocks)  # shrinks where it is

    yield leave
    for block in kept:
        libc.free(block)


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks each time, and 64 MiB may lie free."""
    monkeypatch.setattr(allocator, "_KEPT", 64 * MIB)
    monkeypatch.setattr(allocator, "_LOOK_SECONDS", 0.0)


@pytest.mark.usefixtures("_quick")
def test_what_lies_free_is_kept_up_to_a_bound_and_then_given_back(leave_holes) -> None:
    keep_freed_memory()
    freed = FreedMemory()
    before = own_bytes()

    leave_holes(40)
    freed.bound()
    assert own_bytes() > before + 32 * MIB

    leave_holes(160)
    freed.bound()
    assert own_bytes() < before + 32 * MIB


@pytest.mark.usefixtures("_quick")
def test_it_is_not_given_back_again_at_once(leave_holes) -> None:
    keep_freed_memory()
    freed = FreedMemory()
    leave_holes(160)
    freed.bound()
    before = own_bytes()

    leave_holes(160)
    freed.bound()
    assert own_bytes() > before + 120 * MIB
    freed.release()
    assert own_bytes() < before + 32 * MIB


def test_an_engine_bounds_what_its_batches_leave(monkeypatch, make_ladder) -> None:
    monkeypatch.setattr(allocator, "_LOOK_SECONDS", 0.0)
    ladder = make_ladder("layer")
    chance = random.Random(0)
    batch = [Encoded(tuple(chance.randrange(100) for _ in range(40)), (0,) * 40, ("ant",)) for _ in range(2000)]
    engine = load_engine(ladder, rung_at(ladder.manifest, 0))
    engine.run(batch)
    engine.swap(engine.rung)  # gives back what lies free
    before = own_bytes()

    engine.run(batch)
    left = own_bytes() - before
    assert left > 4 * MIB
    monkeypatch.setattr(allocator, "_KEPT", 2 * MIB)
    engine.run(batch)
    assert own_bytes() - before < left / 2
