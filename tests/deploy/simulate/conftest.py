"""A pico ladder with scores, a small fleet, a load, and service times of a formula."""

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from deploy.simulate.fleet import Fleet
from deploy.simulate.load import Load
from deploy.simulate.service_times import Floats, Measured, ServiceTimes
from merge_builder.evaluation import write_scores
from merge_builder.evaluation.bitmap import pack
from merge_builder.evaluation.ranks import pack_pairs
from merge_builder.ladder import Ladder, open_ladder
from merge_builder.ladder.additions import Score

RIGHT = {"mood": (9, 6), "topic": (8, 8), "intent": (10, 5)}  # of 10 rows: by the expert, by 1x
TIMES = ServiceTimes(
    ladder="pico",
    machine="a formula",
    parameters=1_000_000,
    times=tuple(
        Measured(ratio=ratio, texts=texts, tokens=10.0 * texts, seconds=(0.01 + 0.005 * texts) * (1 + 0.1 * ratio))
        for ratio in (1.0, 3.0)
        for texts in (1, 8, 64)
    ),
)


def scored(ladder: Ladder, folder: Path, embeddings: Collection[str] = ()) -> Ladder:
    """A copy of `ladder` in `folder` with scores at its two ends: those of RIGHT, of `embeddings` rank correlations.

    These are as large, up to what ten pairs can be ordered by.
    """
    copy = open_ladder(shutil.copytree(ladder.root, folder / "ladder"))
    ends = (0, len(copy.manifest.rungs) - 1)
    scores = []
    for task, right in RIGHT.items():
        for rung, count in zip(ends, right, strict=True):
            told = {"rung": rung, "task": task, "rows": 10, "data_sha256": "0" * 64, "interval": (0, 1)}
            if task in embeddings:
                pairs = np.stack([np.arange(10), np.roll(np.arange(10), 10 - count)], axis=1).astype(np.float32)
                told |= {"metric": "spearman", "accuracy": count / 10, "right": "", "pairs": pack_pairs(pairs)}
            else:
                told |= {"accuracy": count / 10, "right": pack(np.arange(10) < count)}
            scores.append(Score(**told))
    return write_scores(copy, scores)


@pytest.fixture
def times() -> ServiceTimes:
    return TIMES


@pytest.fixture
def accuracies() -> tuple[Floats, Floats]:
    """Of every task by its expert, and by 1x."""
    both = np.array(list(RIGHT.values())) / 10
    return both[:, 0], both[:, 1]


@pytest.fixture
def scored_ladder(ladder: Ladder, tmp_path: Path) -> Ladder:
    return scored(ladder, tmp_path)


@dataclass(frozen=True)
class Files:
    """The command's input files."""

    fleet: Path
    load: Path
    times: Path

    @property
    def arguments(self) -> list[str]:
        return ["--fleet", str(self.fleet), "--load", str(self.load), "--times", str(self.times)]


@pytest.fixture
def small_fleet() -> Callable[[Ladder], Fleet]:
    """Of a ladder: 6 nodes that hold all experts, 10 that hold something between, 4 that hold nothing."""

    def of(ladder: Ladder) -> Fleet:
        rungs = ladder.manifest.rungs
        between = rungs[len(rungs) // 2].bytes
        groups = [
            {"name": name, "nodes": nodes, "gpu": {"memory": str(size), "tflops": 65, "gb_per_s": 320}}
            for name, nodes, size in (("large", 6, rungs[0].bytes), ("middle", 10, between), ("none", 4, 1))
        ]
        reached = TIMES.operations_per_second / 65e12  # of a T4: one is as fast as what was measured
        return Fleet.model_validate({"usable": 1, "workspace": "0", "utilisation": reached, "groups": groups})

    return of


@pytest.fixture
def small_load() -> Load:
    """Within what 16 nodes can do (about 155 a second each), and beyond what the six largest can."""
    return Load(
        requests_per_second=1200,
        tokens_per_request=10,
        max_batch_tokens=640,
        windows=6,
        window_seconds=5,
        step_seconds=0.1,
    )


@pytest.fixture
def files(tmp_path: Path, scored_ladder: Ladder, small_fleet: Callable[[Ladder], Fleet], small_load: Load) -> Files:
    found = Files(*(tmp_path / name for name in ("fleet.yaml", "load.yaml", "times.json")))
    found.fleet.write_text(yaml.safe_dump(small_fleet(scored_ladder).model_dump(mode="json", exclude_none=True)))
    found.load.write_text(yaml.safe_dump(small_load.model_dump()))
    found.times.write_text(TIMES.model_dump_json())
    return found
