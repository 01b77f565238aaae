from pathlib import Path

from merge_builder.plan import plan
from merge_builder.recipe import load_recipe


def test_the_plan_is_what_the_build_then_does(suite: Path, make_ladder) -> None:
    predicted = plan(load_recipe(suite / "recipe.yaml"))
    assert not (suite / "ladder").exists()
    ladder = make_ladder()
    stored = sum(v.bytes for v in ladder.manifest.versions) + sum(t.head.bytes for t in ladder.manifest.tasks)
    assert predicted.bytes_written == stored
    assert predicted.rungs == len(ladder.manifest.rungs)
    assert predicted.blocks == len(ladder.manifest.blocks)
    assert predicted.tasks == ["a", "b", "c"]
    assert predicted.peak_memory > 0
