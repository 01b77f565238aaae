import numpy as np
import pytest

from merge_builder.recipe import load_recipe
from merge_builder.tuning.depth.search import deepest, first_stacks, search_depth
from merge_builder.tuning.depth.sources import open_sources
from merge_builder.tuning.depth.stack import Placed, Stack, integrate, stack_of, whole
from merge_builder.tuning.material import open_material


@pytest.fixture
def sources(suite, make_ladder):
    ladder = make_ladder()
    with open_material(load_recipe(suite / "recipe.yaml"), ladder) as material, open_sources(material) as opened:
        yield opened


def test_every_layer_is_accounted_for_in_order() -> None:
    """Where no source is chosen stands the base's layer; a scale is behind the last that a layer was taken from."""
    found = integrate("b", [["a", "c"], [], ["c"]], [0.5, 2.0, 1.0])
    assert found == Stack("b", (Placed("a", 0), Placed("c", 0, 0.5), Placed("(base)", 1, 2.0), Placed("c", 2)))
    assert stack_of(found.genes) == found
    assert whole("a", 2).layers == (Placed("a", 0), Placed("a", 1))


@pytest.mark.parametrize("depth", [2, 3])
def test_every_tensor_is_in_one_block(sources, depth) -> None:
    layer = [name for name in sources.specs if name.startswith("encoder.layer.0.")]
    rest = [name for name in sources.specs if not name.startswith("encoder.layer.")]
    stack = integrate("a", [["a"] * (depth - 1), ["b"]], [1.0, 1.0])
    names = [name for _, tensors in sources.weights(stack) for name in tensors]
    assert len(names) == len(set(names)) == len(rest) + depth * len(layer)
    for block, (name, tensors) in zip(sources.blocks(depth), sources.weights(stack), strict=True):
        assert (block.name, [spec.name for spec in block.tensors]) == (name, list(tensors))
        assert [spec.shape for spec in block.tensors] == [values.shape for values in tensors.values()]


def test_a_search_begins_with_the_untuned_model_and_each_expert(sources) -> None:
    seen = []
    search_depth(sources, lambda c, rows: _note(seen, c, rows), rows=(2, 18), trials=4, seed=0)
    assert [(candidate.stack, rows) for candidate, rows in seen] == [(s, 18) for s in first_stacks(sources)]
    assert [stack.rest for stack in first_stacks(sources)] == ["(merged)", "a", "b", "c"]


def test_what_is_too_deep_is_not_scored_and_the_same_seed_gives_the_same_stacks(sources) -> None:
    runs = []
    for seed in (3, 3, 4):
        runs.append([])
        search_depth(sources, lambda c, rows: _note(runs[-1], c, rows), rows=(2, 18), trials=40, seed=seed)
    depths = {len(candidate.stack.layers) for candidate, _ in runs[0]}
    assert deepest(2) == 3
    assert depths == {2, 3}  # four would be the deepest of this space
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def _note(seen, candidate, rows):
    """Better the more layers are from `b`, and the nearer their scales are to 1."""
    seen.append((candidate, rows))
    own = [(p.source == "b") - abs(p.scale - 1) for p in candidate.stack.layers]
    return dict.fromkeys("abc", float(np.mean(own)))
