"""What the C library does with freed memory: keep it from one operation to the next, give it back after loading.

A batch's larger tensors are a few megabytes each. By default glibc maps such blocks, or trims the heap, anew for nearly
every one, and the kernel then clears page after page: 16,000 page faults in two batches of 32 texts, 7 to 9 % of the
CPU time (docs/benchmarks.md). Without glibc, both functions do nothing.
"""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST_BLOCK = 32 << 20  # bytes; glibc takes no more
_KEPT = 256 << 20  # bytes that may lie free


def keep_freed_memory() -> None:
    """Set the whole process's allocator to keep it for the next operation."""
    if libc := _glibc():
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)


def release_freed_memory() -> None:
    """Give back what lies free now: after a change of weights it is more than batches need."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
