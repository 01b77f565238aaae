"""Near-duplicates against all pairs compared outright."""

import random
import re
from itertools import combinations

from deploy.demo.duplicates import THRESHOLD, duplicate_groups


def _jaccard(a: str, b: str) -> float:
    one, other = set(re.findall(r"\w+", a.lower())), set(re.findall(r"\w+", b.lower()))
    return len(one & other) / len(one | other)


def test_small_edits_are_near_duplicates_and_other_texts_are_not() -> None:
    texts = [
        "The quick brown fox jumps over the lazy dog near the river bank",
        "the quick brown fox jumps over the lazy dog near the river!",
        "A slow green turtle walks under the busy cat",
        "",
    ]
    assert duplicate_groups(texts) == [0, 0, 2, 3]


def test_groups_hold_all_clear_duplicates_and_are_chains_of_true_ones() -> None:
    rng = random.Random(3)
    originals = [[f"w{rng.randrange(400)}" for _ in range(rng.randrange(6, 25))] for _ in range(60)]
    texts = [" ".join(words) for words in originals]
    texts += [" ".join([*words[1:], "changed"]) for words in originals if len(words) > 14]
    groups = duplicate_groups(texts)
    for a, b in combinations(range(len(texts)), 2):
        if _jaccard(texts[a], texts[b]) >= 0.85:
            assert groups[a] == groups[b]
    for item, group in enumerate(groups):
        mates = [other for other in range(len(texts)) if groups[other] == group and other != item]
        assert not mates or max(_jaccard(texts[item], texts[mate]) for mate in mates) >= THRESHOLD
    assert len(set(groups)) < len(texts)
