import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from merge_builder.errors import InputError
from merge_builder.evaluation import load_data
from merge_builder.ladder import Ladder, open_ladder
from merge_builder.recipe import load_recipe
from merge_builder.tuning import Bench, Report, Settings, working_folder
from merge_builder.tuning.depth.tune import tune_depth
from merge_builder.tuning.split import split_rows
from merge_builder.verify import verify

BAD = {"name": "task_arithmetic", "scale": 60.0}  # nearly any other merge is better
DEPTH = Settings("depth", ("1",), rows=18, trials=8)


@pytest.fixture
def run(
    suite: Path, make_ladder: Callable[..., Ladder], write_data: Callable[..., Path], new_toy: Callable[..., Any]
) -> Callable[..., tuple[Report, list[Any]]]:
    """`run(settings, "out", method=..., stop_after=...)`: the report and the toys that answered."""

    def start(
        settings: Settings, out: str, method: dict[str, Any] = BAD, stop_after: int | None = None
    ) -> tuple[Report, list[Any]]:
        built = suite / "built"
        data = write_data(open_ladder(built) if built.exists() else make_ladder("built", method=method))
        toys: list[Any] = []

        def make(ladder: Ladder) -> Bench:
            toys.append(new_toy(ladder))
            toys[-1].stop_after = stop_after
            return toys[-1].bench

        return tune_depth(load_recipe(suite / "recipe.yaml"), data, suite / out, settings, make), toys

    return start


def test_what_is_better_becomes_a_ladder_of_one_rung(run, suite, new_toy) -> None:
    report, _ = run(DEPTH, "out")
    (own,) = report.rungs
    assert own.published
    assert own.found.mean > own.untuned.mean
    ladder = open_ladder(suite / "out")
    assert verify(ladder) == []
    assert not working_folder(suite / "out").exists()
    depth = len(own.genes["layers"])
    (size,) = ladder.manifest.rungs
    heads = sum(task.head.bytes for task in ladder.manifest.tasks)
    assert (size.ratio, size.bytes) == (1.0, sum(block.bytes for block in ladder.manifest.blocks) + heads)
    assert len([block for block in ladder.manifest.blocks if block.name.endswith(".attention")]) == depth
    assert json.loads((ladder.base_dir / "config.json").read_text())["num_hidden_layers"] == depth
    assert {task.config["num_hidden_layers"] for task in ladder.manifest.tasks} == {depth}
    (entry,) = ladder.manifest.tuned
    assert (entry.rung, entry.tuner, entry.parameters) == (0, "depth", own.genes)
    experts, found = new_toy(open_ladder(suite / "built")), new_toy(ladder)
    shares = []
    for task, held_out in split_rows(load_data(suite / "data.yaml", ladder), 0).held_out.items():
        first = experts.ladder.manifest.rungs[0]
        right = [
            toy.run(rung, task, held_out.rows).argmax(axis=1) == held_out.labels
            for toy, rung in ((found, size), (experts, first))
        ]
        shares.append(right[0].sum() / right[1].sum())
    assert own.found.mean == pytest.approx(sum(shares) / 3)


def test_otherwise_nothing_is_written(run, suite) -> None:
    """The first stack is the untuned model itself."""
    report, _ = run(replace(DEPTH, trials=1), "out", method={"name": "tsv"})
    (own,) = report.rungs
    assert not own.published
    assert own.found.mean == own.untuned.mean
    assert not (suite / "out").exists()
    assert not working_folder(suite / "out").exists()


def test_a_search_that_was_stopped_goes_on_to_the_same_end(run, suite) -> None:
    whole, toys = run(DEPTH, "whole")
    for asked in (200, 100):
        with pytest.raises(KeyboardInterrupt):
            run(DEPTH, "parts", stop_after=asked)
        assert not (suite / "parts").exists()
    rest, last = run(DEPTH, "parts")
    assert sum(len(toy.asked) for toy in last) < sum(len(toy.asked) for toy in toys) - 100
    assert rest.rungs[0].genes == whole.rungs[0].genes
    assert (suite / "parts" / "ladder.json").read_bytes() == (suite / "whole" / "ladder.json").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        run(DEPTH, "parts")
