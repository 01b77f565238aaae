"""Every evaluation of a search, on disk as soon as it is known, one JSON line each.

A search asks the journal before it runs anything. So one that was killed, started again with the same seed, asks for
the same candidates, is told what it knew, and goes on from there: resumed equals uninterrupted.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merge_builder.errors import InputError
from merge_builder.evaluation.bitmap import pack, unpack

Right = NDArray[np.bool_]


@dataclass(frozen=True)
class Asked:
    """What was evaluated: a rung, a candidate by its key, and which part of the rows."""

    rung: int
    candidate: str
    part: str


@dataclass
class Cost:
    """What evaluations took, with all that was done between them: finding candidates, merging, Fisher values."""

    evaluations: int = 0
    rows: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


@dataclass
class Journal:
    """What is known, and what it cost at each rung, by index."""

    path: Path
    known: dict[Asked, dict[str, Right]] = field(default_factory=dict)
    costs: dict[int, Cost] = field(default_factory=dict)

    @property
    def wall_seconds(self) -> float:
        """Of all evaluations together."""
        return sum(cost.wall_seconds for cost in self.costs.values())

    def right(self, asked: Asked, task: str) -> Right:
        """Which rows, of a prefix of the part's, the candidate gets right; empty where nothing is known."""
        return self.known.get(asked, {}).get(task, np.zeros(0, np.bool_))

    def add(self, asked: Asked, right: dict[str, Right], cpu: float, wall: float) -> None:
        """Keep `right` by task, for the rows that follow those known, and what they cost in seconds."""
        line = {
            "rung": asked.rung,
            "candidate": json.loads(asked.candidate),
            "part": asked.part,
            "right": {task: [len(own), pack(own)] for task, own in right.items()},
            "cpu": round(cpu, 3),
            "wall": round(wall, 3),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._count(asked, right, cpu, wall)

    def _count(self, asked: Asked, right: dict[str, Right], cpu: float, wall: float) -> None:
        own = self.known.setdefault(asked, {})
        for task, more in right.items():
            own[task] = np.concatenate([own.get(task, np.zeros(0, np.bool_)), more])
        cost = self.costs.setdefault(asked.rung, Cost())
        cost.evaluations += 1
        cost.rows += sum(map(len, right.values()))
        cost.cpu_seconds += cpu
        cost.wall_seconds += wall


def open_journal(path: Path, inputs: str) -> Journal:
    """The journal of a search whose inputs have the fingerprint `inputs`; a line that was cut off is dropped.

    Raises:
        InputError: the file is the journal of another search, or no journal.
    """
    journal = Journal(path)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"inputs": inputs}) + "\n", encoding="utf-8")
        return journal
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        with path.open("rb+") as file:
            file.truncate(len(whole))
    try:
        head, *lines = [json.loads(line) for line in whole.splitlines()] or [{}]
        if head.get("inputs") != inputs:
            raise InputError(
                f"{path.parent} holds a search with other inputs (recipe, checkpoints, rows, tuner, rungs or seed): "
                "remove the folder or choose another OUT"
            )
        for line in lines:
            right = {task: unpack(bits, count) for task, (count, bits) in line["right"].items()}
            asked = Asked(line["rung"], json.dumps(line["candidate"], sort_keys=True), line["part"])
            journal._count(asked, right, line["cpu"], line["wall"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no journal of a search: remove {path.parent}") from error
    return journal
