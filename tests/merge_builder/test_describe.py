from merge_builder.describe import Part, describe, fold
from merge_builder.ladder.fields import TensorSpec
from merge_builder.ladder.manifest import Block


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


def _block(name: str, size: int, tensors: int = 1) -> Block:
    specs = tuple(TensorSpec(name=f"{name}.{n}", dtype="F32", shape=(size,)) for n in range(tensors))
    return Block(name=name, bytes=size, tensors=specs)


def test_neighbouring_layers_with_the_same_blocks_are_folded_into_one() -> None:
    layers = [_block(f"layers.{n}.{part}", size) for n in range(4) for part, size in (("attention", 5), ("norm", 2))]
    layers[4] = _block("layers.2.attention", 6)  # larger than the others
    parts = fold([_block("embeddings", 9, tensors=3), _block("embeddings.norm", 1), *layers, _block("pooler", 4)])

    alike = (Part("attention", 1, 1, 5), Part("norm", 1, 1, 2))
    assert parts == [
        Part("embeddings", 1, 3, 9),
        Part("embeddings.norm", 1, 1, 1),
        Part("layers.0 to 1", 2, 2, 7, alike),
        Part("layers.2", 1, 2, 8, (Part("attention", 1, 1, 6), Part("norm", 1, 1, 2))),
        Part("layers.3", 1, 2, 7, alike),
        Part("pooler", 1, 1, 4),
    ]


def test_blocks_that_are_whole_layers_are_folded_too() -> None:
    parts = fold([_block("embeddings", 9), *(_block(f"layers.{n}", 7, tensors=2) for n in range(12))])
    assert parts == [Part("embeddings", 1, 1, 9), Part("layers.0 to 11", 12, 2, 7)]


def test_no_byte_and_no_tensor_is_lost_in_folding(make_ladder) -> None:
    blocks = make_ladder().manifest.blocks
    parts = fold(blocks)
    assert sum(part.copies * part.bytes for part in parts) == sum(block.bytes for block in blocks)
    assert sum(part.copies * part.tensors for part in parts) == sum(len(block.tensors) for block in blocks)
