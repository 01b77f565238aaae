"""A search whose evaluations are done by a worker of its own, against one that does them itself."""

import json
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from merge_builder.recipe import load_recipe
from merge_builder.tuning import Settings, Trial, tune, working_folder
from merge_builder.tuning.depth.tune import tune_depth
from merge_builder.tuning.jobs import Job, Setup
from merge_builder.tuning.worker import open_worker

BAD = {"name": "task_arithmetic", "scale": 60.0}  # nearly any other merge is better
SETTINGS = Settings("automerge", ("#12", "1"), rows=18, trials=8, at_once=3)


@pytest.mark.parametrize("tuner", ["automerge", "df-merge", "depth"])
def test_the_journal_and_the_result_are_the_same(suite, make_ladder, write_data, new_toy, tuner) -> None:
    data, settings = write_data(make_ladder("built", method=BAD)), replace(SETTINGS, tuner=tuner)
    recipe, batches, journals = load_recipe(suite / "recipe.yaml"), list[list[Job]](), dict[str, list[str]]()
    with ExitStack() as stack:

        def spread(setup: Setup) -> Any:
            work = stack.enter_context(open_worker(setup, lambda ladder: new_toy(ladder).bench))

            def answers(own: list[Job]) -> Any:
                batches.append(own)
                return [work(job) for job in own]

            return answers

        for out, ahead in (("alone", None), ("together", spread)):

            def note(_trial: Trial, out: str = out) -> None:
                journals[out] = (working_folder(suite / out) / "journal.jsonl").read_text().splitlines()[1:]

            (tune_depth if tuner == "depth" else tune)(
                recipe, data, suite / out, settings, lambda own: new_toy(own).bench, on_trial=note, spread=ahead
            )
    told = [[_without_times(line) for line in journals[out]] for out in ("alone", "together")]
    assert told[0] == told[1]
    jobs = [job for batch in batches for job in batch]
    assert len(batches[0]) == {"automerge": 6, "df-merge": 3, "depth": 4}[tuner]  # its given points, or `at_once`
    searched = {json.dumps(line["candidate"]) for line in told[0]}
    assert len({json.dumps(job.genes, sort_keys=True) for job in jobs} & searched) > 4  # all but the first
    assert any(job.settled for job in jobs) == (tuner != "depth")
    ladders = [(suite / out / "ladder.json").read_bytes() for out in ("alone", "together")]
    assert ladders[0] == ladders[1]


def _without_times(line: str) -> dict[str, Any]:
    return {key: value for key, value in json.loads(line).items() if key not in ("cpu", "wall")}
