import json

import pytest

from merge_builder.errors import InputError
from merge_builder.ladder import Ladder, open_ladder
from merge_builder.ladder.store import MANIFEST
from serving.engine.skeleton import build_skeleton


def _edited(ladder: Ladder, before: str, after: str) -> Ladder:
    path = ladder.root / MANIFEST
    path.write_text(path.read_text().replace(before, after))
    return open_ladder(ladder.root)


def test_the_model_holds_no_weights_and_nothing_is_left_without_a_value(make_ladder) -> None:
    skeleton = build_skeleton(make_ladder("sublayer"), "cpu")

    assert not list(skeleton.model.parameters())
    buffers = dict(skeleton.model.named_buffers())
    assert buffers["embeddings.position_ids"].tolist() == [list(range(40))]
    assert all(buffer.device.type == "cpu" for buffer in buffers.values())


def test_units_are_the_blocks_of_each_stage(make_ladder) -> None:
    layer = [("attention",), ("attention.norm",), ("feed_forward",), ("feed_forward.norm",)]
    expected = [
        {("embeddings",), ("embeddings.norm",)},
        *({(f"layers.{number}.{part}",) for (part,) in layer} for number in range(2)),
        {("layers.2.attention",)},  # its query, key and value; all that follows works on one token of a sequence
        {(f"layers.2.{part}",) for (part,) in layer},
        {("pooler",)},
    ]
    assert [set(units) for units in build_skeleton(make_ladder("sublayer"), "cpu").units] == expected


def test_a_family_without_an_adapter_is_named(make_ladder) -> None:
    ladder = _edited(make_ladder("layer"), '"model_type":"bert"', '"model_type":"newt"')
    with pytest.raises(InputError, match="'newt' cannot be served; supported are albert, beit, bert"):
        build_skeleton(ladder, "cpu")


@pytest.mark.parametrize(
    ("layers", "message"),
    [(2, r"merges encoder\.layer\.2\..*no place"), (4, r"lacks encoder\.layer\.3\..*asks for")],
)
def test_a_base_of_another_depth_is_refused_by_the_tensor(make_ladder, layers: int, message: str) -> None:
    ladder = make_ladder("layer")
    path = ladder.base_dir / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": layers}))
    with pytest.raises(InputError, match=message):
        build_skeleton(ladder, "cpu")
