import json
from pathlib import Path

import pytest
import yaml

from deploy.simulate.documents import read_document
from deploy.simulate.fleet import Fleet
from deploy.simulate.load import Load
from deploy.simulate.service_times import ServiceTimes

POLICIES = ["largest rung per node", "1x everywhere", "all experts"]
EXAMPLES = Path(__file__).parents[3] / "examples" / "simulate"


def test_the_document_is_the_contract(mergeladder, scored_ladder, files, tmp_path):
    told = mergeladder("simulate", scored_ladder.root, *files.arguments, "--json", "--out", tmp_path / "out")
    assert told.code == 0
    document = told.document
    assert set(document) == {"load", "scale", "seed", "policies"}
    assert list(document["policies"]) == POLICIES
    assert json.loads((tmp_path / "out" / "simulation.json").read_text()) == document
    assert (tmp_path / "out" / "simulation.svg").read_text().startswith("<svg")
    again = mergeladder("simulate", scored_ladder.root, *files.arguments, "--json")
    assert again.out == told.out
    assert mergeladder("simulate", scored_ladder.root, *files.arguments, "--json", "--seed", 1).document != document


def test_people_see_the_rungs_and_the_figures(mergeladder, scored_ladder, files):
    shown = mergeladder("simulate", scored_ladder.root, *files.arguments)
    assert (shown.code, shown.out) == (0, "")
    assert all(name in shown.err for name in (*POLICIES, "large", "middle", "idle", "a formula"))
    (line,) = (line for line in shown.err.splitlines() if line.startswith("GPUs that serve"))
    assert line.split()[3:] == ["16", "of", "20", "16", "of", "20", "6", "of", "20"]


def test_parameters_scale_the_model_up(mergeladder, scored_ladder, files):
    failed = mergeladder("simulate", scored_ladder.root, *files.arguments, "--parameters", "7B")
    assert failed.code == 2
    assert "the smallest takes 13.2 GiB" in failed.err  # 14 GB and the heads


@pytest.mark.parametrize(
    ("which", "change", "told"),
    [
        ("load", {"deadline_secs": 1}, "did you mean 'deadline_seconds'?"),
        ("load", {"requests_per_second": -1}, "requests_per_second"),
        ("fleet", {"groups": []}, "groups"),
        ("times", {"times": []}, "every rung needs a time"),
    ],
)
def test_bad_files_end_with_exit_code_2(mergeladder, scored_ladder, files, which, change, told):
    path = getattr(files, which)
    path.write_text(json.dumps(yaml.safe_load(path.read_text()) | change))
    failed = mergeladder("simulate", scored_ladder.root, *files.arguments, "--json")
    assert failed.code == 2
    assert str(path) in failed.document["error"]["message"]
    assert told in failed.document["error"]["message"]


def test_a_ladder_without_scores_ends_with_exit_code_2(mergeladder, ladder, files):
    failed = mergeladder("simulate", ladder.root, *files.arguments)
    assert failed.code == 2
    assert "mergeladder evaluate" in failed.err


def test_the_examples_are_valid():
    fleet = read_document(EXAMPLES / "fleet.yaml", Fleet)
    assert sum(group.nodes for group in fleet.groups) == 1000
    assert read_document(EXAMPLES / "load.yaml", Load).windows == 144
    times = read_document(EXAMPLES / "service_times.json", ServiceTimes)
    assert {row.texts for row in times.times} >= {1, 64}
