"""A search whose candidates are tried by Ray actors, against the same search in this process."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
import yaml
from ray.cluster_utils import Cluster

from deploy.bench import engine_bench
from deploy.runner import engine_runner
from deploy.tuning_workers import Place, Workers, ray_workers
from merge_builder.build import build
from merge_builder.errors import MergeLadderError
from merge_builder.evaluation import Row
from merge_builder.recipe import load_recipe
from merge_builder.tuning import Report, Settings, Trial, tune, working_folder
from merge_builder.tuning.depth.tune import tune_depth

pytestmark = pytest.mark.e2e
SETTINGS = Settings("automerge", ("#12", "1"), rows=18, trials=7, at_once=2)
Pool = tuple[Workers, list[Place]]
Search = Callable[..., tuple[Report, list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """Two workers, and where they are and were."""
    places: list[Place] = []
    with ray_workers(2, None, places.append) as workers:
        yield workers, places


@pytest.fixture
def search(recipe_file: Path, tmp_path: Path) -> Search:
    """`search(settings, "out", spread=..., on_trial=...)`: the report, and the search's journal without its times."""
    torch.set_num_threads(1)
    ladder = build(load_recipe(recipe_file), tmp_path / "ladder", threads=1)
    rng, run = np.random.default_rng(0), engine_runner(ladder)
    rows = [Row(text=" ".join(f"w{n}" for n in rng.integers(0, 95, 7)), label="?") for _ in range(40)]
    for task in ladder.manifest.tasks:
        best = run(ladder.manifest.rungs[0], task.name, rows).argmax(axis=1)
        labels = [task.labels[(own + (i % 4 == 0)) % len(task.labels)] for i, own in enumerate(best)]
        lines = [json.dumps({"text": row.text, "label": label}) for row, label in zip(rows, labels, strict=True)]
        (tmp_path / f"{task.name}.jsonl").write_text("\n".join(lines))
    data = tmp_path / "data.yaml"
    data.write_text(yaml.safe_dump({"tasks": {task.name: f"{task.name}.jsonl" for task in ladder.manifest.tasks}}))
    recipe = load_recipe(recipe_file)

    def start(
        settings: Settings, out: str, spread: Any = None, on_trial: Callable[[Trial], None] = lambda _: None
    ) -> tuple[Report, list[dict[str, Any]]]:
        journal: list[str] = []

        def note(trial: Trial) -> None:
            journal[:] = (working_folder(tmp_path / out) / "journal.jsonl").read_text().splitlines()[1:]
            on_trial(trial)

        tuner = tune_depth if settings.tuner == "depth" else tune
        report = tuner(recipe, data, tmp_path / out, settings, engine_bench, on_trial=note, spread=spread)
        lines = [json.loads(line) for line in journal]
        return report, [{k: v for k, v in line.items() if k not in ("cpu", "wall")} for line in lines]

    return start


@pytest.mark.parametrize("tuner", ["automerge", "df-merge", "depth"])
def test_two_workers_find_what_one_process_finds(search: Search, pool: Pool, tmp_path: Path, tuner: Any) -> None:
    settings, (workers, places) = replace(SETTINGS, tuner=tuner), pool
    alone, journal = search(settings, "alone")
    places.clear()
    together, other = search(settings, "together", workers)
    assert len({place.process for place in places} - {os.getpid()}) == 2
    assert other == journal
    for one, two in zip(alone.rungs, together.rungs, strict=True):
        assert (one.genes, one.found, one.untuned, one.published) == (two.genes, two.found, two.untuned, two.published)
    ladders = [tmp_path / out / "ladder.json" for out in ("alone", "together")]
    assert ladders[0].exists() == ladders[1].exists()
    if ladders[0].exists():
        assert ladders[0].read_bytes() == ladders[1].read_bytes()


def test_a_killed_workers_trial_is_done_by_another(search: Search, pool: Pool) -> None:
    _, journal = search(SETTINGS, "alone")
    workers, places = pool
    places.clear()

    def kill(trial: Trial) -> None:
        if trial.number == 4 and len(places) == 2:
            os.kill(places[0].process, signal.SIGKILL)

    _, other = search(SETTINGS, "together", workers, kill)
    assert len(places) == 3  # one took the lost one's place
    assert other == journal


def test_what_was_found_with_workers_is_kept_when_they_are_interrupted(search: Search, pool: Pool) -> None:
    _, journal = search(SETTINGS, "alone")

    def interrupt(trial: Trial) -> None:
        if trial.number == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(SETTINGS, "together", pool[0], interrupt)
    _, other = search(SETTINGS, "together")
    assert other == journal


def test_a_worker_that_cannot_start_is_told(pool: Pool) -> None:
    nothing: Any = None
    with pytest.raises(MergeLadderError, match="did not start"):
        pool[0](nothing)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of two nodes with a processor each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "120")
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        nodes.add_node(num_cpus=1)
        yield nodes.address
    finally:
        nodes.shutdown()


def test_the_command_finds_the_same_with_workers_on_two_nodes_of_a_cluster(
    search: Search, cluster: str, recipe_file: Path, tmp_path: Path
) -> None:
    settings = Settings("automerge", ("1",), rows=18, trials=7)
    alone, _ = search(settings, "alone")
    program = Path(sys.executable).with_name("mergeladder")
    own = ["--tuner", "automerge", "--rung", "1", "--rows", "18", "--trials", "7", "--json"]
    command = [program, "tune", recipe_file, tmp_path / "together", "--data", tmp_path / "data.yaml", *own]
    nodes, printed = set(), ""
    with subprocess.Popen(
        [*command, "--workers", "2", "--ray", cluster],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            printed += line
            if found := re.match(r"worker (\d+) on ", line):
                nodes.add(psutil.Process(int(found[1])).ppid())  # a node's raylet
        document = process.stdout.read()
    assert process.returncode == 0, printed
    assert len(nodes) == 2
    (expected,), (told,) = alone.document["rungs"], json.loads(document)["rungs"]
    for key in ("parameters", "found", "untuned", "published"):
        assert told[key] == json.loads(json.dumps(expected[key]))
    ladders = [(tmp_path / out / "ladder.json").read_bytes() for out in ("alone", "together")]
    assert ladders[0] == ladders[1]
