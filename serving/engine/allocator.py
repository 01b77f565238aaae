"""What the C library does with freed memory: keep it from one operation to the next, but not without bound.

A batch's larger tensors are a few megabytes each. By default glibc maps such blocks, or trims the heap, anew for nearly
every one, and the kernel then clears page after page: 16,000 page faults in two batches of 32 texts, 7 to 9 % of the
CPU time (docs/benchmarks.md). But no two batches are alike, so that what one leaves seldom fits the next, and what lies
free grows for as long as batches vary. So it is given back now and then. Without glibc, nothing is done.
"""

import ctypes
import math
import os
import platform
import time
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST_BLOCK = 32 << 20  # bytes; glibc takes no more
_KEPT = 256 << 20  # bytes that may lie free
# The least time between giving back and giving back: afterwards all that batches need is faulted in anew, which takes
# some hundredths of a second for a small model (docs/benchmarks.md), so about a percent of the time under a flood.
_PAUSE_SECONDS = 10.0
_LOOK_SECONDS = 1.0


class FreedMemory:
    """What the whole process keeps of the memory that it freed. Make it once all is loaded that is kept for good."""

    def __init__(self) -> None:
        self._least, self._next_look = 0, math.inf
        self.release()

    def release(self) -> None:
        """Give back what lies free now: after a change of weights it is more than batches need."""
        if libc := _glibc():
            libc.malloc_trim(0)
            self._least, self._next_look = own_bytes(), time.monotonic() + _LOOK_SECONDS

    def bound(self) -> None:
        """Between operations: give it back if the process has grown by _KEPT since it was last given back.

        Nothing is done where that was less than _PAUSE_SECONDS ago.
        """
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            if own_bytes() > self._least + _KEPT:
                self.release()
                self._next_look = now + _PAUSE_SECONDS


def keep_freed_memory() -> None:
    """Set the whole process's allocator to keep it for the next operation."""
    if libc := _glibc():
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)


def own_bytes() -> int:
    """What of this process is in memory and neither mapped from a file nor shared. Linux only."""
    _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
