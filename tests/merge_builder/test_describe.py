from merge_builder.describe import describe


def test_the_document_has_the_designs_shape(make_ladder) -> None:
    ladder = make_ladder()
    document = describe(ladder, ladder.manifest.rungs[2])
    assert set(document) == {"tasks", "blocks", "trace", "rungs", "chosen"}
    assert document["tasks"] == ["a", "b", "c"]
    assert set(document["blocks"][0]) == {"name", "bytes", "tensors"}
    assert document["trace"][0].keys() == {"step", "block", "left", "right", "similarity"}
    assert [step["step"] for step in document["trace"]] == list(range(1, len(document["trace"]) + 1))
    assert set(document["rungs"][0]) == {"index", "ratio", "bytes"}
    assert document["chosen"] == document["rungs"][2]
    assert describe(ladder)["chosen"] is None
    assert (
        sum(block["bytes"] for block in document["blocks"]) + sum(task.head.bytes for task in ladder.manifest.tasks)
        == document["rungs"][-1]["bytes"]
    )
