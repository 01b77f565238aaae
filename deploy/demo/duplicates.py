"""Near-duplicate texts, found by MinHash over word sets with banding and then checked exactly.

A. Broder, "On the resemblance and containment of documents", 1997; banding: Leskovec et al., "Mining of Massive
Datasets", section 3.4.
"""

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

THRESHOLD = 0.7  # Jaccard similarity of the word sets from which two texts count as near-duplicates
BANDS, ROWS = 10, 3  # a pair at the threshold is found with probability 0.985, one at 0.8 with 0.999
PRIME = (1 << 31) - 1


def duplicate_groups(texts: Sequence[str]) -> list[int]:
    """For each text the number of its group: texts joined by near-duplicates, directly or in a chain, share one.

    A group's number is the index of its first text, so the answer depends on nothing but `texts`.
    """
    words = [frozenset(re.findall(r"\w+", text.lower())) for text in texts]
    parent = list(range(len(texts)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = item = parent[parent[item]]
        return item

    for first, second in _candidates(words):
        a, b = root(first), root(second)
        if a != b and _jaccard(words[first], words[second]) >= THRESHOLD:
            parent[max(a, b)] = min(a, b)
    return [root(item) for item in range(len(texts))]


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a or b else 1.0


def _candidates(words: Sequence[frozenset[str]]) -> Iterable[tuple[int, int]]:
    """Pairs of texts that agree in all rows of at least one band of their signatures."""
    signatures = np.stack([_signature(one) for one in words]) if words else np.empty((0, BANDS * ROWS), np.int64)
    for band in range(BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for item, signature in enumerate(np.ascontiguousarray(signatures[:, band * ROWS : (band + 1) * ROWS])):
            buckets[signature.tobytes()].append(item)
        for bucket in buckets.values():
            yield from combinations(bucket, 2)


def _hash_functions() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(1, PRIME, BANDS * ROWS), rng.integers(0, PRIME, BANDS * ROWS)


SCALES, OFFSETS = _hash_functions()


def _signature(words: frozenset[str]) -> np.ndarray:
    hashes = np.array([zlib.crc32(word.encode()) % PRIME for word in words] or [0], dtype=np.int64)
    smallest: np.ndarray = ((hashes[:, None] * SCALES + OFFSETS) % PRIME).min(axis=0)
    return smallest
