import json

import pytest

from merge_builder.evaluation import evaluation_document


def test_the_document_tells_scores_and_sums_them_up(make_ladder, make_score) -> None:
    ladder = make_ladder("mine")
    scores = [
        make_score(0, "a", "1111"),
        make_score(0, "b", "1110"),
        make_score(1, "a", "1100"),
        make_score(1, "b", "1110"),
    ]
    document = json.loads(json.dumps(evaluation_document(ladder, scores)))
    assert (document["ladder"], document["revision"]) == ("mine", ladder.manifest.revision)
    assert [(s["rung"], s["task"], s["accuracy"]) for s in document["scores"]] == [
        (0, "a", 1.0), (0, "b", 0.75), (1, "a", 0.5), (1, "b", 0.75),
    ]  # fmt: skip
    smaller, experts = document["summary"]
    size = ladder.manifest.rungs[1]
    assert (smaller["rung"], smaller["ratio"], smaller["bytes"]) == (1, size.ratio, size.bytes)
    assert (smaller["mean"], smaller["worst"], smaller["worst_task"]) == (pytest.approx(0.75), 0.5, "a")
    assert smaller["mean_interval"][0] < 0.75 <= smaller["mean_interval"][1]
    assert smaller["tasks"]["b"]["normalised"] == 1.0
    assert experts["mean"] == 1.0
