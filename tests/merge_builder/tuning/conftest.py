"""A bench that runs no model: logits follow from the weights that were put, by one matrix product."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from merge_builder.evaluation import Row
from merge_builder.ladder import Ladder, RungSize, Version, rung_at
from merge_builder.tuning import Bench
from merge_builder.tuning.bench import Tensors

TENSOR = "encoder.layer.1.output.dense.weight"


def _features(row: Row) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(row.text.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).normal(size=16).astype(np.float32)


class ToyBench:
    """Counts what it is asked, and can be made to stop in the middle."""

    def __init__(self, ladder: Ladder) -> None:
        self.ladder = ladder
        self.asked: list[str] = []
        self.stop_after: int | None = None
        self.put_versions: dict[tuple[str, str], Tensors] = {}

    def weight(self, rung: RungSize, task: str) -> np.ndarray:
        for block, versions in rung_at(self.ladder.manifest, rung.index).versions.items():
            version = versions[task]
            tensors = self.put_versions.get((block, version.id)) or load_file(self.ladder.version_path(version))
            if TENSOR in tensors:
                return np.asarray(tensors[TENSOR])
        raise AssertionError(TENSOR)

    def run(self, rung: RungSize, task: str, rows: Sequence[Row]) -> np.ndarray:
        if self.stop_after is not None and len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        self.asked += [row.text for row in rows]
        labels = next(len(own.labels) for own in self.ladder.manifest.tasks if own.name == task)
        inputs = np.stack([_features(row) for row in rows])
        return np.asarray(inputs @ self.weight(rung, task).T[:, :labels])

    def put(self, _rung: RungSize, versions: Mapping[Version, Tensors]) -> None:
        self.put_versions = {(v.block, v.id): tensors for v, tensors in versions.items()}

    def curvature(
        self, _task: str, weights: Mapping[str, np.ndarray], _rows: Sequence[Row]
    ) -> Mapping[str, np.ndarray]:
        return {name: 1 + np.abs(values) for name, values in weights.items()}

    @property
    def bench(self) -> Bench:
        return Bench(self.run, self.put, self.curvature)


@pytest.fixture
def new_toy() -> Callable[[Ladder], ToyBench]:
    """A toy over a ladder."""
    return ToyBench


@pytest.fixture
def write_data(suite: Path) -> Callable[..., Path]:
    """`write_data(ladder, rows)`: the data file of rows that each task's expert gets right but for one in five."""

    def write(ladder: Ladder, count: int = 60) -> Path:
        toy = ToyBench(ladder)
        for task in ladder.manifest.tasks:
            rows = [Row(text=f"{task.name} {number}", label="?") for number in range(count)]
            best = toy.run(ladder.manifest.rungs[0], task.name, rows).argmax(axis=1)
            lines = [
                f'{{"text": "{row.text}", "label": "{task.labels[(own + (i % 5 == 0)) % len(task.labels)]}"}}'
                for i, (row, own) in enumerate(zip(rows, best, strict=True))
            ]
            (suite / f"{task.name}.jsonl").write_text("\n".join(lines))
        path = suite / "data.yaml"
        path.write_text(yaml.safe_dump({"tasks": {t.name: f"{t.name}.jsonl" for t in ladder.manifest.tasks}}))
        return path

    return write
