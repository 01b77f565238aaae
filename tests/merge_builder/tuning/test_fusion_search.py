"""The search over a score made up from the genes: which candidates it asks for, on how many rows."""

from pathlib import Path
from typing import Any, cast

import pytest

from merge_builder.tuning.candidate import Candidate
from merge_builder.tuning.fusion import Buckets
from merge_builder.tuning.fusion_search import SEEDS, search_fusion
from merge_builder.tuning.material import Material
from merge_builder.tuning.plain import PlainMethods
from merge_builder.tuning.rounds import expected

TASKS = ("a", "b")
BUCKETS = Buckets({"x": "0.attention", "y": "0.rest"}, ("0.attention", "0.rest"))
Seen = list[tuple[dict[str, Any], int]]


def run(folder: Path, **options: Any) -> Seen:
    """What was scored, in order; task-wise good are scales near 1.2 in one bucket or the other."""
    seen: Seen = []

    def score(candidate: Candidate, rows: int) -> dict[str, float]:
        own = candidate.genes["buckets"]
        seen.append((dict(own), rows))
        return {t: -abs(own[b].get("scale", 9.0) - 1.2) for t, b in zip(TASKS, BUCKETS.used, strict=True)}

    plain = PlainMethods(folder, cast(Material, None))  # no candidate is made here
    defaults: dict[str, Any] = {"rows": (4, 36), "trials": 22, "seed": 0}
    search_fusion(BUCKETS, TASKS, options.pop("pairs", False), plain, score, **(defaults | options))
    return seen


@pytest.mark.parametrize("several", [False, True])
def test_one_method_everywhere_comes_first_then_whole_rounds(tmp_path: Path, several: bool) -> None:
    seen = run(tmp_path, several=several)
    for (own, rows), one in zip(seen, SEEDS, strict=False):
        assert (own, rows) == ({name: dict(one) for name in BUCKETS.used}, 36)
    assert [rows for _, rows in seen[len(SEEDS) :]] == [*[4] * 9, *[12] * 3, 36, *[12] * 5, 36, *[36] * 3]
    assert len(seen) + 1 == expected((4, 36), 22, len(SEEDS))
    assert all(one["name"] != "slerp" for own, _ in seen for one in own.values())
    assert seen == run(tmp_path, several=several)
    assert seen != run(tmp_path, several=several, seed=1)


def test_it_finds_better_than_it_began_with(tmp_path: Path) -> None:
    def worth(own: dict[str, Any]) -> float:
        return -sum(abs(one.get("scale", 9.0) - 1.2) for one in own.values())

    seen = run(tmp_path, trials=90)
    assert max(worth(own) for own, rows in seen if rows == 36) > max(worth(own) for own, _ in seen[: len(SEEDS)]) + 0.1


def test_what_another_rung_found_is_tried_before_all_else(tmp_path: Path) -> None:
    weights = {"a": 0.25, "b": 1.0}
    found = {
        "method": "lfs",
        "buckets": {
            "0.attention": {"name": "slerp", "weights": weights},
            "0.rest": {"name": "ties", "density": 0.4, "scale": 2.25},
            "9.rest": {"name": "tsv", "scale": 1.0},
        },
    }
    kept = {name: found["buckets"][name] for name in BUCKETS.used}
    assert run(tmp_path, warm=[found], pairs=True, trials=1)[0][0] == kept
    line = kept | {"0.attention": {"name": "linear", "weights": weights}}
    assert run(tmp_path, warm=[found], pairs=False, trials=1)[0][0] == line
