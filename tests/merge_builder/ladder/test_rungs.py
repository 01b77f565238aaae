import pytest

from merge_builder.errors import InputError
from merge_builder.ladder import rung_at


def test_stated_bytes_are_those_of_the_files(make_ladder) -> None:
    from safetensors.numpy import load_file

    ladder = make_ladder()
    heads = sum(w.nbytes for task in "abc" for w in load_file(ladder.head_path(task)).values())
    for size in ladder.manifest.rungs:
        versions = rung_at(ladder.manifest, size.index).stored()
        stored = sum(w.nbytes for version in versions for w in load_file(ladder.version_path(version)).values())
        assert size.bytes == stored + heads


def test_neighbouring_rungs_differ_in_one_block_and_nest(make_ladder) -> None:
    manifest = make_ladder().manifest
    for index, step in enumerate(manifest.trace):
        before, after = rung_at(manifest, index), rung_at(manifest, index + 1)
        changed = {block for block in before.versions if before.versions[block] != after.versions[block]}
        assert changed == {step.block}
        for task in step.left + step.right:
            assert set(after.versions[step.block][task].tasks) == set(step.left + step.right)
    assert all(
        len({v.id for v in tasks.values()}) == 1 for tasks in rung_at(manifest, len(manifest.trace)).versions.values()
    )
    assert all(v.tasks == (task,) for tasks in rung_at(manifest, 0).versions.values() for task, v in tasks.items())


def test_a_rung_that_is_not_there(make_ladder) -> None:
    manifest = make_ladder().manifest
    with pytest.raises(InputError, match=f"#0 to #{len(manifest.trace)}"):
        rung_at(manifest, len(manifest.rungs))
