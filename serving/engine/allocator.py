"""Keep freed memory for the next batch instead of giving it back to the operating system between two operations.

A batch's larger tensors are a few megabytes each. By default glibc maps such blocks, or trims the heap, anew for nearly
every one, and the kernel then clears page after page: 16,000 page faults in two batches of 32 texts, 7 to 9 % of the
CPU time (docs/benchmarks.md).
"""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST_BLOCK = 32 << 20  # bytes; glibc takes no more
_KEPT = 256 << 20  # bytes that may lie free


def keep_freed_memory() -> None:
    """Set the whole process's allocator so; without glibc nothing changes."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
