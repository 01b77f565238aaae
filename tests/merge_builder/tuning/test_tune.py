import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from merge_builder.build import build
from merge_builder.errors import InputError
from merge_builder.evaluation import load_data
from merge_builder.ladder import Ladder, open_ladder, rung_at
from merge_builder.recipe import load_recipe
from merge_builder.tuning import Bench, Report, Settings, Trial, tune, working_folder
from merge_builder.tuning.split import split_rows
from merge_builder.verify import verify

BAD = {"name": "task_arithmetic", "scale": 60.0}  # nearly any other merge is better
DF = Settings("df-merge", ("1",), rows=18, trials=6)
FUSION = Settings("automerge", ("1",), rows=18, trials=7)


@pytest.fixture
def run(
    suite: Path, make_ladder: Callable[..., Ladder], write_data: Callable[..., Path], new_toy: Callable[..., Any]
) -> Callable[..., tuple[Report, Any]]:
    """`run(settings, "out", method=..., stop_after=...)`: the report and the toy that answered."""

    def start(
        settings: Settings,
        out: str,
        method: dict[str, Any] = BAD,
        stop_after: int | None = None,
        on_trial: Callable[[Trial, Any], None] = lambda _trial, _toy: None,
    ) -> tuple[Report, Any]:
        built = suite / "built"
        data = write_data(open_ladder(built) if built.exists() else make_ladder("built", method=method))
        toys: list[Any] = []

        def make(ladder: Ladder) -> Bench:
            toys.append(new_toy(ladder))
            toys[0].stop_after = stop_after
            return toys[0].bench

        report = tune(
            load_recipe(suite / "recipe.yaml"),
            data,
            suite / out,
            settings,
            make,
            on_trial=lambda trial: on_trial(trial, toys[0]),
        )
        return report, toys[0]

    return start


def held_out_mean(ladder: Ladder, rung: int, suite: Path, new_toy: Callable[..., Any]) -> float:
    """By the stored files alone: the mean of accuracies relative to the experts' on the rows held out."""
    toy, shares = new_toy(ladder), []
    for task, own in split_rows(load_data(suite / "data.yaml", ladder), 0).held_out.items():
        right = [
            toy.run(ladder.manifest.rungs[index], task, own.rows).argmax(axis=1) == own.labels for index in (rung, 0)
        ]
        shares.append(right[0].sum() / right[1].sum())
    return float(np.mean(shares))


@pytest.mark.parametrize("settings", [DF, FUSION], ids=lambda settings: settings.tuner)
def test_what_beats_the_untuned_ladder_is_published_as_a_ladder_like_any_other(run, suite, new_toy, settings) -> None:
    report, _ = run(settings, "out")
    (own,) = report.rungs
    assert own.published
    assert own.found.mean > own.untuned.mean
    assert own.sure >= 0.9
    ladder, untuned = open_ladder(suite / "out"), open_ladder(suite / "built")
    assert verify(ladder) == []
    assert not working_folder(suite / "out").exists()
    last = own.rung.index
    assert own.found.mean == pytest.approx(held_out_mean(ladder, last, suite, new_toy))
    assert own.untuned.mean == pytest.approx(held_out_mean(untuned, last, suite, new_toy))
    (entry,) = ladder.manifest.tuned
    assert (entry.rung, entry.tuner, entry.parameters) == (last, settings.tuner, own.genes)
    assert (entry.untuned, entry.tuned) == (own.untuned.mean, own.found.mean)
    assert ladder.manifest.revision != untuned.manifest.revision
    told = f"| 1.00x | #{last} | {settings.tuner} | {100 * own.untuned.mean:.1f} | {100 * own.found.mean:.1f} |"
    assert told in (suite / "out" / "README.md").read_text()
    assert "## Tuned" not in (suite / "built" / "README.md").read_text()
    with pytest.raises(InputError, match="tuned since"):
        build(load_recipe(suite / "recipe.yaml"), suite / "out")
    changed = {(v.block, v.tasks) for v in rung_at(ladder.manifest, last).stored()}
    before = {(v.block, v.tasks): v for v in untuned.manifest.versions}
    for version in ladder.manifest.versions:
        same = before[version.block, version.tasks]
        assert (version != same) == ((version.block, version.tasks) in changed)
        if version == same:
            assert ladder.version_path(version).read_bytes() == untuned.version_path(same).read_bytes()


def test_what_does_not_beat_it_leaves_the_ladder_as_it_was(run, suite) -> None:
    """The first candidate of automerge is the product's own method everywhere, which is what the recipe says."""
    report, _ = run(Settings("automerge", ("1",), rows=18, trials=1), "out", method={"name": "blend"})
    (own,) = report.rungs
    assert not own.published
    assert own.found.mean == own.untuned.mean
    assert own.sure == 0
    assert open_ladder(suite / "out").manifest == open_ladder(suite / "built").manifest
    assert verify(open_ladder(suite / "out")) == []


@pytest.mark.parametrize("settings", [DF, FUSION], ids=lambda settings: settings.tuner)
def test_a_search_that_was_stopped_goes_on_to_the_same_end(run, suite, settings) -> None:
    whole, toy = run(settings, "whole")
    for asked in (200, 500):
        with pytest.raises(KeyboardInterrupt):
            run(settings, "parts", stop_after=asked)
        assert not (suite / "parts").exists()
    rest, last = run(settings, "parts")
    assert len(last.asked) < len(toy.asked) - 200
    assert (suite / "parts" / "ladder.json").read_bytes() == (suite / "whole" / "ladder.json").read_bytes()
    told = [json.loads(json.dumps(report.document)) for report in (whole, rest)]
    for document in told:
        for own in document["rungs"]:
            own["cost"] = own["cost"]["evaluations"], own["cost"]["rows"]
        document["experts_cost"] = None
        document["ladder"] = None
    assert told[0] == told[1]


def test_the_search_never_sees_rows_held_out(run, suite) -> None:
    searched: set[str] = set()

    def note(_trial: Trial, toy: Any) -> None:
        searched.update(toy.asked)

    report, toy = run(FUSION, "out", on_trial=note)
    held_out = {
        row.text
        for own in split_rows(load_data(suite / "data.yaml", open_ladder(suite / "out")), 0).held_out.values()
        for row in own.rows
    }
    assert len(searched) == 3 * 18
    assert searched.isdisjoint(held_out)
    assert held_out <= set(toy.asked)
    assert report.held_out_rows == len(held_out)


def test_trials_tell_the_best_so_far_and_the_time_left(run) -> None:
    told: list[Trial] = []
    run(FUSION, "out", on_trial=lambda trial, _: told.append(trial))
    bests = [trial.best for trial in told]
    assert bests == sorted(bests)
    assert {trial.rows for trial in told} == {2, 6, 18}
    assert [trial.number for trial in told] == list(range(1, len(told) + 1))
    assert told[-1].number == told[-1].of
    assert told[-1].seconds_left == 0.0


def test_across_tasks_the_report_holds_what_nothing_dominates(run) -> None:
    report, _ = run(Settings("automerge", ("1",), rows=18, trials=7, objective="pareto"), "out")
    fronts = [tasks for _, tasks in report.rungs[0].pareto]
    assert fronts
    for own in fronts:
        assert not any(other != own and all(other[t] >= own[t] for t in own) for other in fronts)
    assert [own["tasks"] for own in report.document["rungs"][0]["pareto"]] == fronts


def test_a_rung_keeps_what_a_larger_one_has_settled(run, suite) -> None:
    report, _ = run(Settings("df-merge", ("1", "#12"), rows=18, trials=6), "out")
    assert [own.rung.index for own in report.rungs] == [12, 22]
    ladder = open_ladder(suite / "out")
    assert verify(ladder) == []
    assert [entry.rung for entry in ladder.manifest.tuned] == [own.rung.index for own in report.rungs if own.published]
    assert report.rungs[0].published
    alone, _ = run(Settings("df-merge", ("#12",), rows=18, trials=6), "alone")
    other = open_ladder(suite / "alone")
    for mine, yours in zip(rung_at(ladder.manifest, 12).stored(), rung_at(other.manifest, 12).stored(), strict=True):
        assert mine == yours
    assert alone.rungs[0].genes == report.rungs[0].genes


def test_a_group_of_one_stays_its_expert(run, suite) -> None:
    run(Settings("df-merge", ("#12",), rows=18, trials=6), "out")
    ladder = open_ladder(suite / "out")
    alone = [version for version in rung_at(ladder.manifest, 12).stored() if len(version.tasks) == 1]
    assert alone
    for version in alone:
        expert = load_file(suite / version.tasks[0] / "model.safetensors")
        for name, values in load_file(ladder.version_path(version)).items():
            np.testing.assert_array_equal(values, expert[f"bert.{name}"])


def test_without_time_nothing_is_searched_and_the_ladder_stays(run, suite) -> None:
    report, _ = run(Settings("df-merge", ("1",), rows=18, trials=8, minutes=1e-9), "out")
    (own,) = report.rungs
    assert (own.published, own.found) == (False, None)
    assert open_ladder(suite / "out").manifest == open_ladder(suite / "built").manifest


def test_when_its_time_is_up_a_search_that_goes_on_judges_what_it_knows(run) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(DF, "out", stop_after=300)
    told: list[Trial] = []
    report, _ = run(replace(DF, minutes=1e-9), "out", on_trial=lambda trial, _: told.append(trial))
    assert report.rungs[0].found is not None
    assert 1 < len(told) < DF.trials  # those of the journal, and no more


def test_unfit_input_is_refused(run, suite, make_ladder) -> None:
    with pytest.raises(InputError, match="rung #0 merges nothing"):
        run(Settings("df-merge", ("3",), rows=18), "out")
    (suite / "there").mkdir()
    with pytest.raises(InputError, match="exists already"):
        run(DF, "there")
    with pytest.raises(InputError, match="other inputs"):
        run(DF, "out")
    (suite / "built").rename(suite / "before")
    make_ladder("masked", method={"name": "emr"})
    with pytest.raises(InputError, match="emr keeps a mask"):
        tune(load_recipe(suite / "recipe.yaml"), suite / "data.yaml", suite / "new", DF, lambda _: pytest.fail("ran"))
