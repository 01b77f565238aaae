import shutil

import numpy as np
import pytest

from merge_builder.evaluation import write_scores
from merge_builder.evaluation.bitmap import pack
from merge_builder.ladder import open_ladder
from merge_builder.ladder.additions import Score


def test_the_document_is_the_contract(mergeladder, ladder):
    document = mergeladder("inspect", ladder.root, "--json").document
    assert set(document) == {"tasks", "blocks", "trace", "rungs", "chosen"}
    assert document["tasks"] == ["mood", "topic", "intent"]
    assert set(document["blocks"][0]) == {"name", "bytes", "tensors"}
    assert set(document["trace"][0]) == {"step", "block", "left", "right", "similarity"}
    assert set(document["rungs"][0]) == {"index", "ratio", "bytes"}
    assert document["chosen"] is None
    assert len(document["rungs"]) == len(document["trace"]) + 1 == 2 * len(document["blocks"]) + 1


def test_a_budget_chooses_the_largest_rung_within_it(mergeladder, ladder):
    for wanted in ladder.manifest.rungs[:: len(ladder.manifest.rungs) // 4]:
        chosen = mergeladder("inspect", ladder.root, "--budget", wanted.bytes, "--json").document["chosen"]
        assert chosen["bytes"] == wanted.bytes
        below = mergeladder("inspect", ladder.root, "--budget", wanted.bytes - 1, "--json").document.get("chosen")
        assert below is None or below["bytes"] < wanted.bytes


def test_a_budget_below_every_rung_names_the_least_that_would_do(mergeladder, ladder):
    failed = mergeladder("inspect", ladder.root, "--budget", "1KiB")
    assert failed.code == 2
    assert str(min(rung.bytes for rung in ladder.manifest.rungs)) in failed.err


def test_people_see_tasks_the_ends_of_the_ladder_and_the_choice(mergeladder, ladder):
    middle = ladder.manifest.rungs[len(ladder.manifest.rungs) // 2]
    shown = mergeladder("inspect", ladder.root, "--budget", middle.bytes)
    assert (shown.code, shown.out) == (0, "")
    assert all(text in shown.err for text in ("mood", "topic", "intent", "ask, buy, call, drop"))
    (marked,) = (line for line in shown.err.splitlines() if "< chosen" in line)
    assert marked.startswith(f"#{middle.index} ")
    assert "every expert" in shown.err
    assert "one shared model" in shown.err


def test_blocks_are_drawn_with_the_layers_folded(mergeladder, ladder):
    shown = mergeladder("inspect", ladder.root, "--blocks")
    assert (shown.code, shown.out) == (0, "")
    lines = [line.split() for line in shown.err.splitlines()]
    assert ["layers.0", "to", "1", "2", "x", "16"] in [line[:6] for line in lines]
    assert ["├", "attention", "8", "16.5", "KiB"] in [line[:5] for line in lines]  # 4 matrices of 32 x 32, and biases
    assert "layers.1.attention" not in shown.err
    shares = {line[0]: [] for line in lines if line}
    for line in lines:
        if line and line[-1].endswith("%"):
            shares[line[0]].append(float(line[-1].rstrip("%")))
    whole = [share for start, own in shares.items() if start not in "├└" for share in own]
    assert sum(whole) == pytest.approx(100, abs=0.3)
    assert sum(shares["├"] + shares["└"]) == pytest.approx(shares["layers.0"][0], abs=0.3)
    assert "embeddings.norm" not in mergeladder("inspect", ladder.root).err


def test_a_masked_ladder_does_not_claim_one_shared_model(mergeladder, recipe_file, tmp_path):
    recipe = recipe_file.with_name("masked.yaml")
    text = recipe_file.read_text()
    recipe.write_text(text[: text.index("method:")] + "method: {name: emr}\n")
    assert mergeladder("build", recipe, tmp_path / "masked").code == 0
    shown = mergeladder("inspect", tmp_path / "masked").err
    assert "shared, with masks" in shown
    assert "one shared model" not in shown


@pytest.fixture
def scored(ladder, tmp_path):
    """A copy whose means are .8 at 1x, .6 at the larger rung 5 and 1 at rung 0; the worst tasks' .6, .6 and 1."""
    copy = open_ladder(shutil.copytree(ladder.root, tmp_path / "ladder"))
    right = {0: (10, 10), 5: (6, 6), len(copy.manifest.rungs) - 1: (10, 6)}
    scores = [
        Score(
            rung=rung,
            task=task,
            rows=10,
            data_sha256="0" * 64,
            accuracy=count / 10,
            interval=(0, 1),
            macro_f1=0,
            macro_f1_interval=(0, 1),
            right=pack(np.arange(10) < count),
        )
        for rung, counts in right.items()
        for task, count in zip(("mood", "topic"), counts, strict=True)
    ]
    return write_scores(copy, scores)


@pytest.mark.parametrize(("arguments", "rung"), [(["0.8"], -1), (["0.81"], 0), (["0.6", "--worst"], -1)])
def test_a_goal_chooses_the_smallest_rung_that_reaches_it(mergeladder, scored, arguments, rung):
    told = mergeladder("inspect", scored.root, "--json", "--min-score", *arguments)
    assert set(told.document) == {"tasks", "blocks", "trace", "rungs", "chosen"}
    assert told.document["chosen"] == scored.manifest.rungs[rung].model_dump()
    assert "no scores for intent" in told.err


def test_a_goal_needs_scores(mergeladder, ladder):
    failed = mergeladder("inspect", ladder.root, "--min-score", "0.9")
    assert failed.code == 2
    assert "mergeladder evaluate" in failed.err


@pytest.mark.parametrize("arguments", [["--budget", "1GiB", "--min-score", "0.9"], ["--worst"]])
def test_a_goal_that_is_not_clear_is_refused(mergeladder, scored, arguments):
    failed = mergeladder("inspect", scored.root, *arguments)
    assert failed.code == 2
    assert "--min-score" in failed.err
